"""Documents about devices, each of which states four things, and the questions about them in several
words. Each version of a document has other values, so that an old answer can be told from a new one."""
import itertools

TEAMS = ("설비", "안전", "품질", "물류", "전산", "총무")
SHARED = "모든 장비는 사용 전에 전원을 확인한다."

# What is stated and the ways to ask for it; those of a row mean the same.
TOPICS = {
    "cycle": ("{device} 장비의 점검 주기는 {a}일이다.",
              ("{device} 장비의 점검 주기는 며칠인가요", "{device} 장비 점검 주기는 며칠인지 알려 주세요",
               "{device} 장비는 점검 주기가 며칠인가요")),
    "warranty": ("{device} 장비의 보증 기간은 {b}개월이다.",
                 ("{device} 장비의 보증 기간은 몇 개월인가요", "{device} 장비 보증 기간이 몇 개월인지 알려 주세요",
                  "{device} 장비는 보증 기간이 몇 개월인가요")),
    "team": ("{device} 장비의 담당 부서는 {team} {c}팀이다.",
             ("{device} 장비의 담당 부서는 어디인가요", "{device} 장비 담당 부서가 어디인지 알려 주세요",
              "{device} 장비는 담당 부서가 어디인가요")),
    "price": ("{device} 장비의 설치 비용은 {d},000원이다.",
              ("{device} 장비의 설치 비용은 얼마인가요", "{device} 장비 설치 비용이 얼마인지 알려 주세요",
               "{device} 장비는 설치 비용이 얼마인가요")),
}
versions = itertools.count(1)


def facts(rng, device):
    """(the version's number, its four sentences); the number is in every value."""
    n = next(versions)
    values = {"device": device, "a": n * 4 + 1, "b": n * 4 + 2, "c": n * 4 + 3, "d": n * 4 + 4,
              "team": rng.choice(TEAMS)}
    return n, [sentence.format(**values) for sentence, _ in TOPICS.values()]


def ways_to_ask(device, topic):
    return [way.format(device=device) for way in TOPICS[topic][1]]
