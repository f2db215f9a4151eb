#!/usr/bin/env python3
"""Korean sentences with and without personal data, for 'ragctl guard eval'.

    make_pii_sentences.py --part dev|held|fresh|last [--n 6000] [--seed 1] > FILE.jsonl

A line: {"text", "pii": [{"kind", "class", "start", "end"}]}, places in bytes of UTF-8. Every number
is made up: a birthday, a serial number and a check digit drawn at random. Every second template
belongs to the part 'dev', which the rules were written with, the others to 'held', which were first
looked at when they had been measured once; 'fresh' was written after that, and 'last' when 'fresh'
had been measured and looked at.
Sentences without personal data are traps: the same forms with wrong check digits or days
that no calendar has, dates, amounts, ISBNs, serial and order numbers, versions, addresses."""
import argparse
import datetime
import json
import random
import sys

FULL = str.maketrans("0123456789-", "０１２３４５６７８９－")


# ---- numbers ----

def digits(r, n, first="0123456789"):
    return r.choice(first) + "".join(r.choice("0123456789") for _ in range(n - 1))


def resident_check(d, foreigner):
    total = sum(int(c) * (2 + i % 8) for i, c in enumerate(d[:12]))
    return str(((13 if foreigner else 11) - total % 11) % 10)


def birthday(r, first, last):
    start = datetime.date(first, 1, 1)
    return start + datetime.timedelta(days=r.randrange((datetime.date(last, 12, 31) - start).days))


def person(r, foreigner, checked):
    young = r.random() < .25
    day = birthday(r, 2000, 2022) if young else birthday(r, 1935, 1999)
    sex = r.choice("78" if young else "56") if foreigner else r.choice("34" if young else "12")
    while True:
        d = day.strftime("%y%m%d") + sex + digits(r, 6)
        right = d[:12] + resident_check(d, foreigner)
        if checked:
            return right
        if d != right:
            return d


def join_person(r, d):
    how = r.random()
    if how < .66:
        return f"{d[:6]}-{d[6:]}"
    if how < .72:
        return f"{d[:6]}-{d[6:]}".translate(FULL)
    if how < .78:
        return d[:6] + r.choice("‐–—−－") + d[6:]
    if how < .84:
        return f"{d[:6]} - {d[6:]}"
    if how < .90:
        return f"{d[:6]} {d[6:]}"
    return d


def business_check(d):
    total = sum(int(c) * w for c, w in zip(d, (1, 3, 7, 1, 3, 7, 1, 3, 5))) + int(d[8]) * 5 // 10
    return str((10 - total % 10) % 10)


def business(r):
    d = str(r.randrange(101, 900)) + f"{r.choice([*range(1, 80), 81, 82, 85, 86, 87, 88]):02d}"
    d += digits(r, 4)
    return d + business_check(d)


def join_business(r, d):
    how = r.random()
    if how < .75:
        return f"{d[:3]}-{d[3:5]}-{d[5:]}"
    if how < .82:
        return f"{d[:3]}-{d[3:5]}-{d[5:]}".translate(FULL)
    if how < .88:
        dash = r.choice("–—−")
        return f"{d[:3]}{dash}{d[3:5]}{dash}{d[5:]}"
    return d


def luhn(d):
    total = 0
    for i, c in enumerate(reversed(d)):
        v = int(c) * (2 if i % 2 == 0 else 1)
        total += v - 9 if v > 9 else v
    return str((10 - total % 10) % 10)


def card(r):
    prefix, n = r.choice([("4", 16)] * 5 + [(str(r.randrange(51, 56)), 16)] * 4 +
                         [(str(r.randrange(2221, 2721)), 16)] +
                         [(r.choice(["34", "37"]), 15)] * 2 + [("36", 14)] +
                         [(str(r.randrange(3528, 3590)), 16)] + [("62", 16)] +
                         [("94", 16)] * 3 + [("6011", 16)])
    d = prefix + digits(r, n - len(prefix) - 1)
    return d + luhn(d)


def join_card(r, d):
    cuts = {16: (4, 4, 4, 4), 15: (4, 6, 5), 14: (4, 6, 4)}[len(d)]
    parts, at = [], 0
    for n in cuts:
        parts.append(d[at:at + n])
        at += n
    how = r.random()
    if how < .5:
        return "-".join(parts)
    if how < .75:
        return " ".join(parts)
    if how < .80:
        return "-".join(parts).translate(FULL)
    if how < .84:
        return ".".join(parts)
    return d


def phone(r):
    """(text, class)"""
    how = r.random()
    mid, last = digits(r, 4, "23456789"), digits(r, 4)
    if how < .45:
        return f"010-{mid}-{last}", "mobile"
    if how < .55:
        return f"010{mid}{last}", "mobile"
    if how < .60:
        return f"010 {mid} {last}", "mobile"
    if how < .64:
        return f"010.{mid}.{last}", "mobile"
    if how < .68:
        return f"+82-10-{mid}-{last}", "abroad"
    if how < .71:
        return f"+82 10 {mid} {last}", "abroad"
    if how < .73:
        return f"+8210{mid}{last}", "abroad"
    if how < .76:
        return f"010-{mid}-{last}".translate(FULL), "mobile"
    area = r.choice(["02", "031", "032", "041", "042", "051", "053", "062", "064"])
    short = digits(r, 3, "23456789")
    if how < .88:
        return f"{area}-{r.choice([short, mid])}-{last}", "area"
    if how < .92:
        return f"({area}) {short}-{last}", "area"
    if how < .96:
        return f"070-{mid}-{last}", "internet"
    return f"{r.choice(['1588', '1577', '1544', '1600', '1899'])}-{last}", "nationwide"


def passport(r):
    if r.random() < .5:
        return "M" + digits(r, 8), "old"
    return "M" + digits(r, 3) + r.choice("ABCDEFGHJKLMNPQRSTUVWXYZ") + digits(r, 4), "new"


def licence(r):
    year = f"{r.randrange(0, 100):02d}"
    if r.random() < .12:
        return f"{r.choice(['서울', '부산', '경기', '대구'])} {year}-{digits(r, 6)}-{digits(r, 2)}", "old"
    return f"{r.randrange(11, 29)}-{year}-{digits(r, 6)}-{digits(r, 2)}", "new"


def account(r):
    cuts = r.choice([(6, 2, 6), (3, 3, 6), (4, 3, 6), (3, 6, 5), (3, 4, 4, 2), (4, 2, 7), (3, 2, 6)])
    parts = [digits(r, n, "123456789" if i == 0 else "0123456789") for i, n in enumerate(cuts)]
    if r.random() < .2:
        return "".join(parts), "digits"
    return "-".join(parts), "dashes"


def email(r):
    user = r.choice(["hong.gd", "kim_cs", "lee-yh", "park2024", "info", "cs+help", "j.choi", "a1b2c3"])
    host = r.choice(["example.com", "example.co.kr", "mail.example.org", "corp.example.kr",
                     "example.ai", "sub.dept.example.go.kr"])
    return f"{user}{r.randrange(100)}@{host}", "address"


def make(r, kind):
    if kind in ("resident_number", "foreigner_number"):
        checked = r.random() < .5
        d = person(r, kind == "foreigner_number", checked)
        return join_person(r, d), "checksum" if checked else "no_checksum"
    if kind == "business_number":
        return join_business(r, business(r)), "checksum"
    if kind == "card":
        return join_card(r, card(r)), "checksum"
    return {"phone": phone, "passport": passport, "driver_licence": licence,
            "bank_account": account, "email": email}[kind](r)


# ---- sentences with personal data: {x} ----

WITH = {
    "resident_number": [
        "주민등록번호는 {x}입니다.",
        "신청인 {name}(주민번호 {x})은 아래와 같이 신청합니다.",
        "{name} 주민등록번호: {x}",
        "본인확인을 위해 주민번호 {x}을 기재하였습니다.",
        "계약자 {name}, {x}, 서울시 {gu} 거주",
        "주민번호 {x}로 조회해 주세요.",
        "{name}({x})에게 통지한다.",
        "피보험자의 주민등록번호는 {x}이고 수익자는 배우자이다.",
        "근로자 {name} (주민등록번호 {x}) 퇴직금 정산",
        "위임인 {name} {x}",
        "세대주의 주민등록번호 {x}을(를) 적는다.",
        "제 주민번호가 {x}인데 확인 부탁드립니다.",
        "환자명 {name}, 주민등록번호 {x}, 진료과 내과",
        "{name}의 주민등록상 번호는 {x}로 되어 있다.",
        "채무자: {name} / {x} / {gu}",
        "RRN: {x} ({name})",
        "원천징수 대상자 {name}의 주민등록번호 {x}가 누락되었습니다.",
        "상속인 {name} {x} 외 2명",
    ],
    "foreigner_number": [
        "외국인등록번호는 {x}입니다.",
        "체류자 {foreign}(외국인등록번호 {x})의 체류기간을 연장한다.",
        "외국인등록번호: {x}, 성명: {foreign}",
        "{foreign} {x} 체류자격 E-9",
        "외국인등록증 번호 {x}를 확인하였다.",
        "근로자 {foreign}의 외국인등록번호 {x}",
        "등록번호 {x}인 외국인 직원의 보험을 신고한다.",
        "ARC number {x}, name {foreign}",
        "{foreign}({x})은 유학생이다.",
        "고용허가 대상 외국인 {foreign}, {x}",
    ],
    "business_number": [
        "사업자등록번호는 {x}입니다.",
        "공급자 사업자등록번호 {x}, 상호 {firm}",
        "{firm} (사업자번호: {x})",
        "세금계산서는 사업자번호 {x}로 발행해 주세요.",
        "거래처 {firm}의 사업자등록번호 {x}를 등록한다.",
        "{firm} {x} 대표 {name}",
        "사업자 {x} 휴폐업 조회 결과 정상입니다.",
        "등록번호 {x} / 상호 {firm} / 업태 도소매",
        "입찰 참가 업체 {firm}의 사업자등록번호는 {x}이다.",
        "Business registration no. {x}",
        "계약 상대방: {firm}, 사업자등록번호 {x}, 소재지 {gu}",
        "현금영수증을 사업자 지출증빙용 {x}로 끊어 주세요.",
    ],
    "card": [
        "카드번호는 {x}입니다.",
        "결제 카드 {x} 유효기간 12/27",
        "법인카드 {x}로 결제하였다.",
        "신용카드 번호 {x}를 해지해 주세요.",
        "환불은 {x} 카드로 처리됩니다.",
        "{name}님의 체크카드 {x}가 분실 신고되었다.",
        "Card number: {x}",
        "자동이체 카드를 {x}로 바꾸고 싶어요.",
        "분실 카드 {x} 재발급 신청",
        "가족카드({x}) 한도를 올려 주세요.",
        "결제수단 {x}, 3개월 할부",
        "고객이 불러 준 번호는 {x}였다.",
    ],
    "phone": [
        "제 번호는 {x}입니다.",
        "연락처: {x}",
        "{name} 과장 {x}",
        "문의는 {x}로 해 주세요.",
        "휴대폰 {x}로 문자를 보냈다.",
        "담당자 전화 {x}",
        "긴급 시 {x}로 연락한다.",
        "{firm} 대표전화 {x}",
        "보호자 {name}({x})",
        "Tel. {x}",
        "{x}로 전화 주시면 안내해 드립니다.",
        "예약자 {name}, {x}, 2명",
        "팩스는 {x}로 보내 주십시오.",
        "새 번호 {x}로 바뀌었어요.",
    ],
    "passport": [
        "여권번호는 {x}입니다.",
        "여권번호 {x}, 만료일 2030-05-01",
        "탑승객 {name} 여권 {x}",
        "Passport No. {x}",
        "분실한 여권({x})의 재발급을 신청한다.",
        "{name}의 여권번호 {x}를 확인하였다.",
        "출장자 여권 정보: {name}, {x}",
        "비자 신청서에 여권번호 {x}를 적었다.",
    ],
    "driver_licence": [
        "운전면허번호는 {x}입니다.",
        "면허번호 {x}, 1종 보통",
        "운전자 {name}, 면허증 {x}",
        "렌터카 계약자의 운전면허번호 {x}",
        "면허증 번호 {x}를 제출하였다.",
        "{name} 운전면허 {x} 적성검사 대상",
    ],
    "bank_account": [
        "국민은행 {x}로 입금해 주세요.",
        "계좌번호: 신한은행 {x} (예금주 {name})",
        "환불 계좌는 우리은행 {x}입니다.",
        "급여 계좌 {x} ({name})",
        "송금처: 하나은행 {x}",
        "카카오뱅크 {x} {name}",
        "농협 {x}로 이체하였다.",
        "참가비는 기업은행 {x}로 보내 주세요.",
        "예금주 {name}, 계좌 {x}",
        "새마을금고 {x} 통장 사본 첨부",
    ],
    "email": [
        "메일은 {x}입니다.",
        "이메일: {x}",
        "{name} <{x}>",
        "자료는 {x}로 보내 주세요.",
        "문의: {x}, 평일 09:00-18:00",
        "{x}에서 회신이 왔다.",
    ],
}

TOGETHER = [
    ("{name} / {a} / {b}", "resident_number", "phone"),
    ("주민번호 {a}, 연락처 {b}", "resident_number", "phone"),
    ("{firm} 사업자등록번호 {a}, 전화 {b}", "business_number", "phone"),
    ("연락처 {a}, 이메일 {b}", "phone", "email"),
    ("카드 {a}, 명의자 연락처 {b}", "card", "phone"),
    ("성명 {name}, 외국인등록번호 {a}, 휴대폰 {b}", "foreigner_number", "phone"),
    ("공급자 {a} 공급받는자 {b}", "business_number", "business_number"),
    ("카드번호 {a}, 환불 카드번호 {b}", "card", "card"),
]

# ---- sentences without: a function of the generator each ----


def wrong(d, right):
    return d[:-1] + str((int(right) + 1 + int(d[0]) % 8) % 10)


def wrong_business(r):
    d = business(r)
    return join_business(r, wrong(d, d[-1]))


def wrong_card(r):
    d = card(r)
    return join_card(r, wrong(d, d[-1]))


def wrong_day(r, foreigner=False):
    month, day = r.choice([(13, 5), (0, 12), (2, 30), (4, 31), (11, 31), (6, 0), (9, 45), (19, 3)])
    sex = r.choice("5678" if foreigner else "1234")
    return join_person(r, f"{r.randrange(100):02d}{month:02d}{day:02d}{sex}{digits(r, 6)}")


def unborn(r):
    return f"{r.randrange(60, 99)}0512-{r.choice('3478')}{digits(r, 6)}"


def isbn13(r):
    d = r.choice(["978", "979"]) + digits(r, 9)
    check = (10 - sum(int(c) * (3 if i % 2 else 1) for i, c in enumerate(d)) % 10) % 10
    d += str(check)
    return r.choice([d, f"{d[:3]}-{d[3:5]}-{d[5:9]}-{d[9:12]}-{d[12]}"])


def ean(r):
    d = "880" + digits(r, 9)
    return d + str((10 - sum(int(c) * (3 if i % 2 else 1) for i, c in enumerate(d)) % 10) % 10)


def imei(r):
    d = r.choice(["35", "86", "01"]) + digits(r, 12)
    return d + luhn(d)


def date(r):
    d = birthday(r, 1950, 2025)
    return r.choice([d.isoformat(), d.strftime("%Y.%m.%d"), d.strftime("%Y%m%d"), d.strftime("%y%m%d"),
                     f"{d.year}년 {d.month}월 {d.day}일", d.strftime("%Y/%m/%d")])


WITHOUT = [
    lambda r: f"사업자등록번호가 {wrong_business(r)}라면 잘못된 번호입니다.",
    lambda r: f"사업자번호 {wrong_business(r)}는 조회되지 않는다.",
    lambda r: f"등록번호 {wrong_business(r)}(오기)를 정정한다.",
    lambda r: f"품목 {wrong_business(r)} 재고 없음",
    lambda r: f"카드번호 {wrong_card(r)}는 사용할 수 없는 번호입니다.",
    lambda r: f"카드 {wrong_card(r)} 승인 거절: 번호 오류",
    lambda r: f"테스트 번호 {wrong_card(r)}",
    lambda r: f"주민등록번호 형식이 {wrong_day(r)}처럼 잘못되었습니다.",
    lambda r: f"주민번호 {wrong_day(r)}는 없는 날짜이다.",
    lambda r: f"외국인등록번호 {wrong_day(r, True)} 오류",
    lambda r: f"주민번호 {unborn(r)}은 존재할 수 없다.",
    lambda r: f"주민번호는 {date(r)[2:8].replace('-', '')[:6]}-1******로 가려서 보관한다.",
    lambda r: f"회의는 {date(r)}에 열린다.",
    lambda r: f"{date(r)} 제정, {date(r)} 개정",
    lambda r: f"계약 기간: {date(r)} ~ {date(r)}",
    lambda r: f"생년월일 {date(r)}",
    lambda r: f"ISBN {isbn13(r)}",
    lambda r: f"이 책의 ISBN은 {isbn13(r)}이다.",
    lambda r: f"바코드 {ean(r)}",
    lambda r: f"상품 {ean(r)} 3개",
    lambda r: f"주문번호 {date(r).replace('-', '')[:8]}-{digits(r, 7)}",
    lambda r: f"주문번호: {digits(r, 16, '123456789')}",
    lambda r: f"주문번호 {birthday(r, 2020, 2025).strftime('%y%m%d')}-{digits(r, 7)} 배송 중",
    lambda r: f"결제 번호 {digits(r, 14, '123456789')}",
    lambda r: f"송장번호 {digits(r, 12, '123456789')}",
    lambda r: f"운송장 {digits(r, 4, '123456789')}-{digits(r, 4)}-{digits(r, 4)}을 조회하세요.",
    lambda r: f"시리얼 번호 SN{digits(r, 8)}-{digits(r, 4)}",
    lambda r: f"일련번호 {digits(r, 13, '123456789')}",
    lambda r: f"제품 코드 {digits(r, 3, '123456789')}-{digits(r, 4)}-{digits(r, 3)}",
    lambda r: f"총액은 {r.randrange(10**6, 10**10):,}원이다.",
    lambda r: f"예산 {r.randrange(10**9, 10**10)}원을 편성하였다.",
    lambda r: f"매출액 {r.randrange(10**9, 10**12):,}원, 영업이익 {r.randrange(10**8, 10**9):,}원",
    lambda r: f"버전 {r.randrange(20)}.{r.randrange(100)}.{r.randrange(1000)}을 설치하세요.",
    lambda r: f"서버 주소는 {r.randrange(1, 255)}.{r.randrange(255)}.{r.randrange(255)}.{r.randrange(255)}이다.",
    lambda r: f"커널 {r.randrange(4, 7)}.{r.randrange(20)}.{r.randrange(200)}-{r.randrange(100)}-generic",
    lambda r: f"위치는 37.{digits(r, 6)}, 126.{digits(r, 6)}이다.",
    lambda r: f"법률 제{r.randrange(10000, 20000)}호, {date(r)}",
    lambda r: f"사건번호 {r.randrange(2000, 2025)}가합{r.randrange(100000, 600000)}",
    lambda r: f"문서번호 총무-{r.randrange(2015, 2025)}-{digits(r, 4)}",
    lambda r: f"특허 제10-{digits(r, 7, '12')}호",
    lambda r: f"출원번호 10-{r.randrange(2005, 2025)}-{digits(r, 7)}",
    lambda r: f"IMEI {imei(r)}",
    lambda r: f"단말기 고유번호 {imei(r)}",
    lambda r: f"우편번호 {digits(r, 5)}",
    lambda r: f"차량번호 {r.randrange(10, 99)}가 {digits(r, 4)}",
    lambda r: f"종목코드 {digits(r, 6)}",
    lambda r: f"학번 {r.randrange(2005, 2025)}{digits(r, 6)}",
    lambda r: f"근무시간은 09:00-18:00, 점심은 12:{digits(r, 2, '0345')}부터이다.",
    lambda r: f"임진왜란은 1592-1598년의 전쟁이다. 참고 {r.randrange(1, 400)}-{r.randrange(400, 800)}쪽",
    lambda r: f"타임스탬프 {r.randrange(1500000000000, 1760000000000)}",
    lambda r: f"로그 시각 {r.randrange(1500000000, 1760000000)} 에 오류가 났다.",
    lambda r: f"트랜잭션 {digits(r, 8)}-{digits(r, 4)}-4{digits(r, 3)}-a{digits(r, 3)}-{digits(r, 12)}",
    lambda r: f"해시 {'%032x' % r.getrandbits(128)}",
    lambda r: f"표준 KS X {r.randrange(1000, 9999)}-{r.randrange(1, 9)}, ISO {r.randrange(1000, 30000)}-1:20{digits(r, 2, '012')}",
    lambda r: f"좌석 {r.randrange(1, 60)}-{r.randrange(1, 30)}, 게이트 {r.randrange(1, 300)}",
    lambda r: f"점수는 {r.randrange(0, 5)}-{r.randrange(0, 5)}, 관중 {r.randrange(1000, 60000):,}명",
    lambda r: f"관리번호 {digits(r, 6)}-{digits(r, 7)}",
    lambda r: f"자산번호 {r.randrange(2010, 2025)}-{digits(r, 6)}",
    lambda r: f"승인번호 {digits(r, 8)}",
    lambda r: f"거래번호 {digits(r, 15, '123456789')}",
    lambda r: f"전표 {digits(r, 10, '123456789')}을 취소한다.",
    lambda r: f"도면 {digits(r, 3, '123456789')}-{digits(r, 2)}-{digits(r, 5)} 참조",
    lambda r: f"원주율은 3.{digits(r, 15)}이다.",
    lambda r: f"모델명 M{digits(r, 4)}-{digits(r, 2)}, 배터리 {r.randrange(2000, 6000)}mAh",
    lambda r: f"패키지 left-pad@{r.randrange(9)}.{r.randrange(20)}.{r.randrange(20)}을 올린다.",
    lambda r: f"이미지 icon@{r.choice('23')}x.png를 바꾼다.",
    lambda r: f"사용자 @{r.choice(['hong', 'kim', 'lee'])}{digits(r, 2)} 님이 댓글을 남겼다.",
    lambda r: f"문 {r.randrange(1, 100)}: 다음 중 옳은 것은? ({r.randrange(1, 6)}점)",
    lambda r: f"확진자는 전국 {r.randrange(10000, 600000):,}명, 누적 {r.randrange(10**6, 3 * 10**7):,}명이다.",
    lambda r: f"소수 {r.random():.12f}을 반올림한다.",
    lambda r: "연차는 1년에 15일이며 미사용분은 최대 5일까지 이월할 수 있다.",
    lambda r: f"제{r.randrange(1, 90)}조 제{r.randrange(1, 9)}항에 따라 {r.randrange(1, 90)}일 이내에 신청한다.",
]

# ---- the part 'fresh': checksum kinds and their traps ----

FRESH_WITH = {
    "resident_number": [
        "가족관계증명서에 적힌 {name} {x}를 확인함",
        "급여명세 {name} {x} 기본급 외",
        "{x} ({name}) 님 본인 맞으신가요?",
        "증인 {name}, 주민등록번호 {x}, 주소 {gu}",
        "수급자 번호 대신 주민번호({x})를 썼다.",
        "아이 주민번호 {x}로 예방접종을 예약했어요.",
        "매도인 {name} ({x}) 매수인 {foreign}",
        "동의서 서명자: {name} / 주민등록번호 앞뒤 {x}",
        "보험증권 피보험자란에 {name} {x} 기재",
        "이력서 상단에 {x}가 그대로 남아 있습니다.",
    ],
    "foreigner_number": [
        "신규 입국자 {foreign}, 외국인 등록번호 {x}",
        "비자 연장 대상: {foreign} {x}",
        "{foreign} 님의 등록증에는 {x}라고 적혀 있습니다.",
        "4대보험 취득 신고 {foreign} {x}",
        "외국인 근로자 명부 1. {foreign} {x}",
    ],
    "business_number": [
        "판매자 정보: {firm}, 사업자등록번호 {x}, 통신판매업 신고",
        "{firm} 사업자번호 확인 {x} 맞습니다",
        "간이과세자 {x} 폐업일 미정",
        "계산서 발행처 사업자등록번호 {x}",
        "가맹점 {firm}({x}) 매출 조회",
        "발주처의 사업자 번호는 {x}로 등록되어 있다.",
        "사업자등록증 사본({x})을 첨부합니다.",
        "협력사 {firm} / 사업자 {x} / 담당 {name}",
    ],
    "card": [
        "구독 결제에 쓰인 카드가 {x}인지 봐 주세요.",
        "{name} {x} 12개월 무이자",
        "고객센터에 {x} 번호를 알려 주었다.",
        "해외 결제 {x} 승인 38달러",
        "카드 뒷자리 말고 전체 {x}를 적었네요.",
        "Visa {x} exp 08/28",
        "카드사 앱에서 {x}를 등록했다.",
        "주유 할인 카드 {x} 발급 완료",
    ],
}

FRESH_WITHOUT = [
    lambda r: f"입력한 사업자등록번호 {wrong_business(r)}는 검증에 실패했습니다.",
    lambda r: f"가맹점 {wrong_business(r)} 없음",
    lambda r: f"카드번호 {wrong_card(r)}를 다시 확인하세요.",
    lambda r: f"예시 카드 {wrong_card(r)}은 결제되지 않는다.",
    lambda r: f"주민등록번호 {wrong_day(r)}는 잘못 입력되었다.",
    lambda r: f"{wrong_day(r, True)}은 외국인등록번호가 될 수 없다.",
    lambda r: f"납품 번호 {digits(r, 6)}-{digits(r, 2)}",
    lambda r: f"교재 {isbn13(r)} 개정판",
    lambda r: f"재고 바코드 {ean(r)} 수량 {r.randrange(1, 300)}",
    lambda r: f"측정값 {r.random() * 1000:.6f}, 오차 {r.random():.8f}",
    lambda r: f"배포 {r.randrange(1, 30)}.{r.randrange(10)}.{r.randrange(10)}-rc{r.randrange(1, 5)} 예정",
    lambda r: f"입찰 공고 제{r.randrange(2015, 2025)}-{digits(r, 5)}호",
    lambda r: f"노선 {r.randrange(100, 9999)}번, 배차 {r.randrange(5, 30)}분",
    lambda r: f"{date(r)}부터 {date(r)}까지 휴관합니다.",
    lambda r: f"보증금 {r.randrange(10**7, 10**9):,}원에 월 {r.randrange(10**5, 10**7)}원",
    lambda r: f"국제전화 규격 E.{r.randrange(100, 200)} 2010-{digits(r, 2, '01')}",
    lambda r: f"계측기 일련번호 {digits(r, 10, '123456789')}",
    lambda r: f"택배 송장 {digits(r, 13, '123456789')}",
    lambda r: f"예약번호 {digits(r, 8)}-{digits(r, 2)}",
    lambda r: f"mac 주소 {':'.join('%02x' % r.randrange(256) for _ in range(6))}",
    lambda r: f"업로드 파일 IMG_{date(r).replace('-', '')}_{digits(r, 6)}.jpg",
    lambda r: f"방 번호 {r.randrange(1, 30)}0{r.randrange(1, 9)}호, 내선 {digits(r, 4)}",
    lambda r: f"조회수 {r.randrange(10**6, 10**10)}회",
    lambda r: f"에러 코드 0x{r.getrandbits(32):08X} 발생",
]

# ---- the part 'last' ----

LAST_WITH = {
    "resident_number": [
        "통장 개설 서류에 {name} {x}를 적어 냈다.",
        "퇴사자 {name}의 주민번호 {x}는 삭제 대상입니다.",
        "출생신고: {x} {name}",
        "투표인 명부 12번 {name} {x}",
        "주민등록등본상 {x}로 확인됩니다.",
        "강사료 지급 대상 {name}({x}), 소득세 3.3% 공제",
    ],
    "foreigner_number": [
        "계절근로자 {foreign} {x} 숙소 배정",
        "외국인등록 사실증명 {foreign} {x}",
        "출입국 민원: 등록번호 {x}, 국적 변경",
        "교환학생 {foreign} ({x}) 학적 등록",
    ],
    "business_number": [
        "임대인 {firm}, 사업자등록번호 {x}",
        "{firm}의 사업자번호가 {x}에서 변경되었습니다.",
        "부가세 신고 대상 사업자등록번호 {x}",
        "하도급 업체 {firm} {x} 보증서 제출",
        "사업자등록번호({x}) 진위 확인",
        "매입 세금계산서 {x} {firm} 부품대",
        "온라인몰 입점 신청 사업자 {x}",
        "{firm} / {x} / 법인 / 서비스업",
    ],
    "card": [
        "숙박비를 {x}로 선결제함",
        "{name} 카드 {x} 분실 접수",
        "정기후원 카드번호 {x} 만료",
        "결제 실패: {x} 한도 초과",
        "영수증에 {x} 전체가 찍혀 나왔다.",
        "BC카드 {x}로 바꿔 주세요",
    ],
}

LAST_WITHOUT = [
    lambda r: f"사업자번호 {wrong_business(r)}는 국세청에 등록되어 있지 않다.",
    lambda r: f"카드 {wrong_card(r)} 형식 오류",
    lambda r: f"주민번호 {wrong_day(r)} 입력 불가",
    lambda r: f"악보 번호 {isbn13(r)}",
    lambda r: f"진열대 {ean(r)} 품절",
    lambda r: f"견적 합계 {r.randrange(10**6, 10**10)}원",
    lambda r: f"누적 방문 {r.randrange(10**6, 10**10)}명",
    lambda r: f"작업 지시 {digits(r, 4)}-{digits(r, 4)}-{digits(r, 2)}",
    lambda r: f"설비 {digits(r, 2)}-{digits(r, 6)}-{digits(r, 3)} 점검",
    lambda r: f"{date(r)} 09:{digits(r, 2, '012345')} 기준 환율 {r.randrange(1100, 1500)}.{digits(r, 2)}",
    lambda r: f"호스트 {r.randrange(1, 255)}.{r.randrange(255)}.{r.randrange(255)}.{r.randrange(255)}:{r.randrange(1000, 60000)}",
    lambda r: f"v{r.randrange(1, 9)}.{r.randrange(99)}.{r.randrange(99)}에서 고쳤다.",
    lambda r: f"논문 DOI 10.{digits(r, 4)}/{digits(r, 7)}",
    lambda r: f"수험번호 {digits(r, 8)}",
    lambda r: f"청구번호 {digits(r, 12, '123456789')}",
    lambda r: f"보험료 {r.randrange(10**5, 10**7):,}원을 {date(r)}에 냈다.",
]

NAMES = ["김철수", "이영희", "박민준", "최서연", "정하늘", "강도윤", "윤지우", "홍길동", "남궁민", "선우진"]
FOREIGN = ["NGUYEN VAN A", "WANG WEI", "Maria Santos", "응우옌 반 안", "왕웨이", "JOHN SMITH"]
FIRMS = ["(주)한빛상사", "미래테크", "대한물산 주식회사", "푸른식품", "누리소프트", "㈜새벽건설"]
GU = ["강남구", "마포구", "수영구", "유성구", "분당구"]


def fill(r, template):
    return (template.replace("{name}", r.choice(NAMES)).replace("{foreign}", r.choice(FOREIGN))
            .replace("{firm}", r.choice(FIRMS)).replace("{gu}", r.choice(GU)))


def place(text, slots):
    """Replace each {slot} by its number; returns the text and the places in bytes."""
    found = []
    for slot, (kind, number, form) in slots.items():
        before = text.index("{" + slot + "}")
        text = text.replace("{" + slot + "}", number, 1)
        found.append((before, kind, form, number))
    pii = []
    for before, kind, form, number in sorted(found):
        start = len(text[:before].encode())
        pii.append({"kind": kind, "class": form, "start": start,
                    "end": start + len(number.encode())})
    return text, pii


def part_of(items, part):
    return [item for i, item in enumerate(items) if i % 2 == (0 if part == "dev" else 1)]


ONLY_CHECKED = {"fresh": (FRESH_WITH, FRESH_WITHOUT), "last": (LAST_WITH, LAST_WITHOUT)}


def sentence(r, part):
    how = r.random()
    checked = ["resident_number"] * 4 + ["foreigner_number"] * 3 + ["business_number"] * 3 + ["card"] * 4
    if part in ONLY_CHECKED:
        with_pii, without = ONLY_CHECKED[part]
        if how < .5:
            return r.choice(without)(r), []
        kind = r.choice(checked)
        return place(fill(r, r.choice(with_pii[kind])), {"x": (kind, *make(r, kind))})
    if how < .5:
        return r.choice(part_of(WITHOUT, part))(r), []
    if how < .58:
        template, a, b = r.choice(part_of(TOGETHER, part))
        return place(fill(r, template), {"a": (a, *make(r, a)), "b": (b, *make(r, b))})
    kind = r.choice(checked + ["phone"] * 3 +
                    ["passport", "driver_licence", "bank_account", "email"])
    return place(fill(r, r.choice(part_of(WITH[kind], part))), {"x": (kind, *make(r, kind))})


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--part", choices=["dev", "held", "fresh", "last"], required=True)
    parser.add_argument("--n", type=int, default=6000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    r = random.Random(args.seed)
    for _ in range(args.n):
        text, pii = sentence(r, args.part)
        json.dump({"text": text, "pii": pii}, sys.stdout, ensure_ascii=False)
        print()


if __name__ == "__main__":
    main()
