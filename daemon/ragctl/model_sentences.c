#include "daemon/ragctl/model_sentences.h"

/* A question is followed by a passage that answers it, so that neighbours are pairs for a
 * reranker too. */
const char *const model_sentences[MODEL_SENTENCES] = {
    "연차휴가는 며칠까지 다음 해로 넘길 수 있나요?",
    "사용하지 않은 연차휴가는 다음 해 3월 말까지 최대 5일을 이월할 수 있으며, 그 뒤에는 소멸한다.",
    "출장비는 언제까지 신청해야 합니까?",
    "출장비는 돌아온 날부터 14일 안에 영수증을 붙여 신청하고, 기한을 넘기면 부서장의 확인이 "
    "필요하다.",
    "서울의 인구는 얼마인가?",
    "서울특별시는 대한민국의 수도로, 약 940만 명이 25개 자치구에 살고 있다.",
    "서버실 온도가 27도를 넘으면 어떻게 하나요?",
    "온도가 27도를 넘으면 당직자가 보조 냉방기를 켜고 시설팀에 전화한 다음 기록부에 시각을 적는다.",
    "훈민정음은 누가 언제 만들었나?",
    "세종은 1443년에 훈민정음을 만들고 3년 뒤 해례본과 함께 반포하였다.",
    "환불 규정을 알려 주세요.",
    "제품을 받은 날부터 7일 이내이고 포장을 뜯지 않았다면 전액을 돌려받을 수 있습니다.",
    "비밀번호를 잊어버렸을 때 재설정하는 방법은?",
    "로그인 화면에서 '비밀번호 찾기'를 누르고 등록된 전자우편으로 온 6자리 번호를 입력하면 된다.",
    "제12조 제2항에서 말하는 정당한 사유란 무엇인가?",
    "정당한 사유란 천재지변, 질병, 그 밖에 본인의 책임이 아닌 일로 기한을 지킬 수 없었던 경우를 "
    "말한다.",
    "김치는 어떻게 보관하는 것이 좋은가요?",
    "김치는 공기가 닿지 않게 눌러 담아 0도에서 5도 사이에 두면 신맛이 천천히 든다.",
    "이 약을 아이에게 먹여도 되나요?",
    "만 6세 미만에게는 투여하지 않으며, 12세까지는 성인 용량의 절반을 하루 두 번 먹인다.",
    "광합성이 일어나는 곳은 어디인가?",
    "광합성은 엽록체의 틸라코이드 막에서 빛에너지를 붙잡는 반응과 스트로마에서 당을 만드는 "
    "반응으로 나뉜다.",
    "계약을 해지하려면 언제 알려야 하나?",
    "계약은 끝나기 한 달 전까지 서면으로 알리지 않으면 같은 조건으로 1년 연장된다.",
    "회의록은 어디에 저장하나요?",
    "회의록은 회의가 끝난 날 공유 폴더의 해당 연도 아래에 '날짜_제목' 이름으로 올린다.",
    "지진이 났을 때 엘리베이터를 타도 되나?",
    "지진이 나면 엘리베이터를 쓰지 말고 계단으로 대피하며, 안에 있다면 모든 층의 단추를 눌러 가장 "
    "먼저 열리는 층에서 내린다.",
    "API 호출 한도는 분당 몇 번입니까?",
    "무료 요금제는 분당 60회, 유료 요금제는 분당 1,200회까지 호출할 수 있고 넘으면 429 응답을 "
    "받는다.",
    "네.",
    "가나다라마바사 아자차카타파하 ㄱㄴㄷ ㅏㅑㅓㅕ 2024년 3월 15일 오후 2시 30분 (금)",
    "How many days of annual leave may be carried over?",
    "Up to five unused days may be carried into the next year and lapse at the end of March.",
    "Who wrote the first program for the analytical engine?",
    "Ada Lovelace published notes in 1843 that contain an algorithm for computing Bernoulli "
    "numbers.",
    "What is the boiling point of water at high altitude?",
    "At an altitude of 3,000 metres water boils near 90 degrees Celsius because the air presses "
    "less.",
    "how do i reset my password",
    "Choose 'Forgot password', enter your address, and type the six digits that arrive by e-mail.",
    "When was the treaty signed?",
    "The treaty was signed on 24 October 1648 after four years of talks in two cities.",
    "What does error 0x80070057 mean?",
    "The error says that a parameter is incorrect; it often follows a failed update or a full "
    "disk.",
    "Which enzyme unwinds DNA during replication?",
    "Helicase separates the two strands at the replication fork, and topoisomerase relieves the "
    "strain.",
    "Can the tenant end the lease early?",
    "The tenant may end the lease with two months' notice in writing if a successor is found.",
    "What is the capital of Australia?",
    "Canberra, chosen in 1908 as a compromise between Sydney and Melbourne, is the capital.",
    "Why is the sky blue?",
    "Air molecules scatter short wavelengths of sunlight more strongly than long ones.",
    "Is this medicine safe during pregnancy?",
    "Animal studies showed no harm, but there are no adequate studies in pregnant women; ask a "
    "physician.",
    "What is the default port of PostgreSQL?",
    "The server listens on TCP port 5432 unless the configuration names another one.",
    "Explain the difference between a process and a thread.",
    "A process has an address space of its own; threads of one process share memory and differ in "
    "stack and registers, so switching between them is cheaper and sharing data is easier to get "
    "wrong.",
    "Summarise the results.",
    "Revenue rose 12.4 % to $3.1 billion while operating costs fell, and the board proposed a "
    "dividend "
    "of $0.42 per share, payable on 1 June to holders of record on 15 May.",
    "Yes.",
    "The quick brown fox jumps over the lazy dog; THE QUICK BROWN FOX JUMPS OVER THE LAZY DOG!",
    "Where is Pyeongchang (평창)?",
    "Pyeongchang is a county in Gangwon Province, Korea, which hosted the Winter Olympics in 2018.",
};
