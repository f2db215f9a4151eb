#include "guard/injection_phrases.h"

/* clang-format off */
const char *const injection_phrases[CONCEPTS] = {
    [CONCEPT_NONE] =
        "명령 프롬프트|command prompt|command prompts|powershell prompt|shell prompt|"
        "consent prompt|prompt for|prompts for|at the prompt|답하라고|답해라고|대답하라고|"
        "대답하라는|답하라는|말하라고|말하라는|출력하라는|안내 방송",
    [CONCEPT_PRIOR] =
        "이전|^앞의|^앞선|앞서|위의|^위|윗|상기|^기존|지금까지|여태|원래|^처음|모든|그동안|받은|"
        "받았던|주어진|시스템|너의|네가|당신의|당신이|내부|previous|previously|prior|preceding|"
        "above|earlier|all|any|your|initial|original|existing|system|foregoing|former|everything|"
        "every|other|past|상위|안전|앞서 받은|너한테|that came",
    [CONCEPT_INSTRUCTION] =
        "지시|프롬프트|지침|instruction*|prompt|prompts|directive|directives|system message|"
        "programming",
    [CONCEPT_RULE] =
        "명령|규칙|가이드라인|안내사항|제약|제한사항|안전 장치|정책|역할|rule|rules|guideline|"
        "guidelines|command|commands|direction|directions|constraint|constraints|restriction|"
        "restrictions|safeguards|training|context|policies|orders|guardrails|filters",
    [CONCEPT_EVERYTHING] =
        "위의 내용|앞의 내용|위 내용|앞선 내용|이전 내용|지금까지의 내용|이전 대화|앞의 대화|"
        "위에 있는 모든|위에 적힌|위에 쓰인|지금까지 들은|everything above|all of the above|"
        "everything before|everything prior|everything that came before|what came before|"
        "all that came before|everything you were told|everything you have been told|"
        "what you were told|whatever you were told|text above",
    [CONCEPT_IGNORE] =
        "무시!|무시하여라|무시해도|잊고|잊어라|잊어버려|잊어버리|잊으|잊어 줘|잊어 주|잊을 것|"
        "따르지 말|따르지 마|지키지 말|지키지 마|따를 필요|버리고|버려라|버리십|무효화!|덮어써|"
        "덮어쓰|어기고|벗어나라|벗어나십|벗어던지|우회!|배제!|제쳐 두|제쳐두|ignore|disregard|"
        "forget|override|overrule|bypass|discard|do not follow|don't follow|stop following|"
        "do not obey|don't obey|stop obeying|pay no attention|set aside|no longer apply|"
        "no longer valid|are void|are cancelled|are canceled|supersede|neglect|abandon|"
        "throw away|drop|skip over|not bound by|기억에서 지|지워라|throw out|unlearn|delete your|"
        "erase your|erase all|delete all",
    [CONCEPT_AI] =
        "ai|a.i.|인공지능|언어 모델|언어모형|llm|llms|챗봇|어시스턴트|^조수|도우미|비서|"
        "assistant|assistants|language model|language models|chatbot|chatbots|gpt|chatgpt|claude|"
        "gemini|llama|exaone|bot|^봇|말하는 봇|챗 봇|도우미는|ai 모델|답변 엔진|parrot",
    [CONCEPT_AI_ADDRESSED] =
        "읽는 ai|읽는 인공지능|읽고 있는 ai|읽고 있는 인공지능|읽는 모델|읽는 언어 모델|"
        "읽는 챗봇|읽는 어시스턴트|처리하는 ai|처리하는 언어 모델|처리하는 인공지능|요약하는 ai|"
        "요약하는 모델|참고하는 ai|검색하는 ai|답변하는 ai|답변하는 모델|답변을 생성하는|"
        "답변을 작성하는 ai|ai에게 알|ai에게 전|ai에게 지시|ai 어시스턴트에게|ai 비서에게|"
        "ai 모델에게|언어 모델에게|인공지능에게 알|인공지능에게 지시|모델에게 전달|챗봇에게 지시|"
        "어시스턴트에게 지시|당신이 ai라면|네가 ai라면|ai라면|인공지능이라면|언어 모델이라면|"
        "챗봇이라면|note to ai|note to the ai|note to the assistant|note to assistant|"
        "notes for ai|note for ai|note to language model*|note to llm*|note to any ai|"
        "note for the model|message to ai|message to the ai|message to the assistant|"
        "message for ai|message for the assistant|instructions for ai|instruction for ai|"
        "instructions for the ai|instructions for the assistant|instructions to the assistant|"
        "instruction to the assistant|instructions to ai|instructions to the ai|"
        "instructions for language model*|instructions for llm*|attention ai|attention assistant|"
        "attention llm|attention language model|dear ai|dear assistant|dear language model|"
        "dear llm|hey ai|hey assistant|hello ai|if you are an ai|if you are a language model|"
        "if you are an llm|if you are a bot|if you are an assistant|if you're an ai|"
        "ai reading this|ai that reads this|assistant reading this|model reading this|"
        "llm reading this|llms reading this|ai systems reading|ai processing this|"
        "model processing this|assistant processing this|ai assistants must|"
        "ai assistants are required|ai model must|as an ai you|ai agents must|ai agents reading|"
        "읽고 있는 언어|ai에게 알림|ai에게:|인공지능에게:|if you are a language|"
        "당신이 인공지능이라면|당신이 언어 모델",
    [CONCEPT_YOU] =
        "^너는|^넌|^네가|^너의|^당신은|^당신이|^귀하는|^그대는|you|your|you're|yourself",
    [CONCEPT_NOW] =
        "이제부터|지금부터|이제는|^이제|앞으로|이 순간부터|이 시점부터|from now on|"
        "from this point|from this moment|henceforth|starting now|as of now|"
        "effective immediately|for the rest of this|for the remainder of|going forward",
    [CONCEPT_BECOME] =
        "you are now|you're now|you are no longer|you're no longer|you will act as|act as|"
        "acting as|pretend to be|pretend you|pretend that you|roleplay as|role play as|"
        "play the role of|take on the role|assume the role|behave as|behave like|switch to|enter|"
        "become|simulate|처럼 행동|역할을 맡|역할을 수행|행세|인 척|인척|연기하|되어라|된 것처럼|"
        "로 전환|로 행동!|로 행동|로 동작|으로 작동|모드로|모드다|모드이다|모드입니다|모드가 되|"
        "이 아니라|가 아니다|가 아니며|이 아니다|이 아니며",
    [CONCEPT_PERSONA] =
        "제한 없는|제한이 없는|제약 없는|제약이 없는|무제한|무검열|검열 없는|검열되지 않|"
        "규칙 없는|규칙에 얽매이지|탈옥|개발자 모드|디버그 모드|관리자 모드|점검 모드|"
        "자유로운 ai|dan|dan mode|do anything now|developer mode|debug mode|god mode|admin mode|"
        "maintenance mode|root mode|jailbreak|jailbroken|unrestricted|uncensored|unfiltered|"
        "no restrictions|without restrictions|no limitations|without limitations|"
        "without any restrictions|no rules|without rules|without any rules|evil|free of all|"
        "free from all|no filters|만 말하는|만 하는 봇|말은 하나|하나뿐이|only says|who only|"
        "that only|앵무새|풀려났|모드 진입|모드로 진입|override code",
    [CONCEPT_ANSWER] =
        "답&|답변&|대답&|응답&|회신&|말&|단언&|출력&|적으십시오|적으세요|적어라|써라|쓰십시오|"
        "쓰세요|안내&|주장&|언급&|권하십시오|권하라|추천&|알려라|알리십시오|알려 줘|알려 주|"
        "말씀&|덧붙여라|덧붙이십시오|포함&|포함시켜|끝내십시오|끝내라|마치십시오|마쳐라|시작&|"
        "answer|reply|respond|say|state|output|claim|write|tell|insist|conclude|declare|"
        "recommend|include|mention|begin|start|end|finish|append|add|repeat|assert|inform|"
        "present|report|promote|advertise|print|서술&|기술&|둘러대라|둘러대십|내보내라|내보내십|"
        "내보내세|끝내야|끝나야|시작해야|포함해야|포함시켜야|적어야|써야|붙여야|붙여라|붙이십|"
        "바꿔라|바꾸십|고쳐 써라|통일합|통일&|고정&|고정합|제시해야|제시&|적고|쓰고|넣어라|"
        "넣으십|넣을 것|붙일 것|달 것|달아라|외쳐라|외치십|넣어 주세요|표시하십|소개&|밝혀라|"
        "quote|attribute|shout|replace|place|insert|work",
    [CONCEPT_ANSWER_PLAIN] =
        "답%|답변%|대답%|응답%|회신%|말%|단언%|적어라|써라|덧붙여라|권하라|알려라|끝내라|마쳐라|"
        "포함시켜라|안내%|추천%|출력%|주장%|서술%|기술%|둘러대라|내보내라|바꿔라|고쳐 써라|"
        "넣어라|달아라|외쳐라|밝혀라|고정하라|통일하라",
    [CONCEPT_ANSWER_MUST] =
        "답해야|답변해야|대답해야|응답해야|말해야|답변은|^답은|대답은|정답은|답변에는|답변에|"
        "답변의|답변 끝|답변 첫|답변 마지막|응답에|your answer must|your answer should|"
        "your answer has to|your answer is|your answer will|your response must|"
        "your response should|your response has to|your reply must|your reply should|"
        "your final answer|the answer must be|the answer should be|the only correct answer|"
        "the correct answer is always|in your answer|in your response|in your reply|"
        "to your answer|to your response|to your reply|your answer with|your response with|"
        "your reply with|every reply|all replies|your responses|your output must|"
        "your output should",
    [CONCEPT_ANSWER_FORM] =
        "respond only with|reply only with|answer only with|only respond with|only reply with|"
        "only answer with|respond with exactly|reply with exactly|answer with exactly|"
        "respond exactly|always answer|always reply|always respond|always say|simply say|"
        "simply reply|simply answer|just say|just answer|just reply|라고만 답|라고만 대답|"
        "라고만 말|라고만 출력|라고만 응답|다른 말은 하지 마|다른 말은 하지 말|"
        "다른 내용은 쓰지 마|다른 내용은 출력하지 마|만 답#|만 대답#|만 출력#|만 출력하시오|"
        "문구만 그대로",
    [CONCEPT_FORCE] =
        "반드시|무조건|오직|항상|언제나|예외 없이|예외없이|^꼭|라고만|그대로|어떤 경우에도|절대|"
        "다른 말 없이|must|always|only|no matter|regardless|exactly|under all circumstances|"
        "in all cases|verbatim|exclusively|without exception|nothing else|never|whatever|"
        "at all costs|word for word",
    [CONCEPT_ANY_QUESTION] =
        "어떤 질문|모든 질문|무슨 질문|어떠한 질문|질문과 상관없이|질문에 상관없이|"
        "질문과 관계없이|질문에 관계없이|질문 내용과 무관|질문과 무관|질문이 무엇이든|"
        "질문이 무엇이건|무엇을 묻든|무엇을 물어|뭘 묻든|뭘 물어|무엇을 질문|질문이 오든|"
        "어떻게 묻든|누가 묻든|any question|every question|all questions|all queries|any query|"
        "every query|whatever the question|whatever is asked|whatever you are asked|"
        "whatever the user|regardless of the question|regardless of what|regardless of the query|"
        "regardless of the user*|no matter what|no matter the question|no matter how|"
        "irrespective of|anything the user asks|anything you are asked",
    [CONCEPT_ASKED] =
        "물으면|물어보면|물어 보면|묻는다면|묻거든|물었을 때|묻는 경우|질문하면|질문을 받으면|"
        "질문받으면|질문하거든|질문이 들어오면|문의하면|질문을 하면|질문에 대해|질문에는|"
        "이 질문에|when asked|if asked|when you are asked|if you are asked|"
        "whenever you are asked|if the user asks|when the user asks|whenever the user|"
        "if anyone asks|when anyone asks|if someone asks|whenever someone asks|asks about|"
        "asked about|asks for|anyone asks|에 대해 물|들어오면",
    [CONCEPT_QUESTION] =
        "질문|question|questions|query|queries|request|requests",
    [CONCEPT_NO_ANSWER] =
        "답하지 마|답변하지 마|대답하지 마|응답하지 마|답변을 거부&|답변을 거부!|답을 하지 마|"
        "답을 거부!|답하는 대신|답변하는 대신|답 대신|답변 대신|do not answer|don't answer|"
        "dont answer|never answer|refuse to answer|stop answering|instead of answering|"
        "rather than answering|decline to answer|refuse all|refuse every|답변을 거절&|"
        "답변을 중단&|모른다고 답|모른다고만|찾을 수 없다고 답|없다고 답|답하지 말고|답하지 말라|"
        "답하지 말 것|답변하지 말고|답변하지 말라|답변하지 말 것|대답하지 말고|대답하지 말라|"
        "대답하지 말 것|응답하지 말고|응답하지 말 것",
    [CONCEPT_READER] =
        "사용자에게|이용자에게|질문자에게|고객에게|독자에게|상대방에게|사용자가|이용자가|"
        "사용자의|이용자의|질문자의|질문한 사람|사용자를|이용자를|사용자로 하여금|the user|users|"
        "user's|the reader|the person asking|the asker|the human|the customer|them|질문자가|"
        "사용자가 이|이용자로 하여금|고객이",
    [CONCEPT_PROMPT] =
        "시스템 프롬프트|시스템 메시지|시스템 지시|시스템 지침|초기 프롬프트|초기 지시|"
        "초기 설정 문구|숨겨진 지시|숨은 지시|숨겨진 프롬프트|숨은 프롬프트|내부 지침|내부 지시|"
        "내부 프롬프트|너의 지시|너의 지침|너의 규칙|너의 프롬프트|네 프롬프트|네 지시|네 규칙|"
        "당신의 지시|당신의 지침|당신의 프롬프트|당신의 규칙|당신의 설정|네가 받은|당신이 받은|"
        "받은 지시|받은 지침|받은 명령|받은 규칙|주어진 지시|주어진 지침|주어진 규칙|위의 지시|"
        "위 지시|위의 지침|위의 규칙|위의 프롬프트|위에 적힌 지시|위에 있는 지시|개발자 메시지|"
        "개발자 지시|비공개 지침|비공개 지시|비밀 지시|비밀 지침|프롬프트 전문|프롬프트 전체|"
        "프롬프트 내용|프롬프트를|원래 프롬프트|원래 지시|처음 받은|대화의 첫|대화 맨 앞|"
        "system prompt|system prompts|system message|system instructions|initial prompt|"
        "initial instructions|initial message|hidden prompt|hidden instructions|"
        "your instructions|your prompt|your programming|your directives|your initial|"
        "your original|your hidden|your secret|developer message|developer instructions|"
        "developer prompt|text above|words above|instructions above|rules above|everything above|"
        "above instructions|above prompt|above rules|original instructions|original prompt|"
        "secret instructions|secret prompt|internal instructions|instructions you were given|"
        "rules you were given|instructions you received|you were given|full prompt|entire prompt|"
        "prompt verbatim|beginning of this conversation|start of this conversation|"
        "start of the conversation|beginning of the conversation|위에 있는 규칙|위에 적힌 규칙|"
        "위의 안내문|위쪽에 있는|자료 위쪽|위쪽에 적힌|초기 설정|숨은 명령|숨겨진 명령|"
        "개발자가 너에게|너에게 준|네게 준|당신에게 주어진|적용 중인 지침|적용되는 지침|"
        "현재 지침|지침 전문|지키라고 들|따르라고 들|맨 처음에 적힌|처음에 적힌 내용|"
        "대화의 맨 처음|맨 위의 내용|내부 설정|configuration you are|text that precedes|"
        "precedes the passages|precedes this|what precedes|told to follow|you are running with|"
        "the rules you|before the passages|before this passage|the operator gave you|"
        "the developer gave you|developer gave|받은 지시문|위 지시문|위의 지시문|네 지시문",
    [CONCEPT_REVEAL] =
        "출력!|공개&|보여 줘|보여줘|보여라|보여 주|보여주|알려 줘|알려줘|알려라|알려 주|적어라|"
        "적어 줘|적어 주|적으십|적으세|써라|쓰십시오|복사&|반복!|복창&|드러내라|드러내십|말해라|"
        "말해 줘|말하라|말하십|말해 봐|노출&|표시&|나열!|인쇄&|요약&|번역!|붙여라|붙여 넣|붙여넣|"
        "옮겨 적|옮겨적|읊어|밝혀라|밝히십|누설&|제시&|덧붙여|포함&|포함시켜|시작&|전달&|답&|"
        "답변&|reveal|print|repeat|output|show|display|disclose|expose|leak|dump|recite|include|"
        "append|paste|echo|tell|summarize|summarise|translate|write|list|share|quote|copy|"
        "reproduce|give|provide|describe|state|return|spell out|explain|send|encode|read back|"
        "read out|attach|begin|복사해서|덧붙이시|전문으로|붙이시|넣어 출력|알려 주세요|"
        "보여 주세요|기재&|고스란히|빠짐없이",
    [CONCEPT_LINK] =
        "링크|url|urls|link|links|http*|https*|www|주소로|사이트|웹사이트|웹페이지|페이지로|"
        "website|web page|site|webhook|endpoint|이미지|image|markdown image|전화번호로|메일로|"
        "이메일로|email|e-mail|phone number|계좌",
    [CONCEPT_SECRET] =
        "비밀번호|패스워드|암호를|주민등록번호|주민번호|카드번호|카드 번호|신용카드|계좌번호|"
        "인증번호|인증 번호|보안카드|api 키|api키|접근 토큰|개인정보|개인 정보|로그인 정보|"
        "계정 정보|password|passwords|credentials|login|api key|api keys|credit card|card number|"
        "card details|social security|one-time code|verification code|personal information|"
        "personal data|bank account|bank details|access token|secret key|otp|gift card|상품권|"
        "송금|입금|암호|사번|employee number|fee must|수수료|the one-time",
    [CONCEPT_TALK] =
        "대화 내용|대화내용|대화 기록|대화기록|이전 대화|대화 전체|대화 전문|질문 내용|질문을|"
        "사용자의 질문|사용자 질문|이용자의 질문|검색된 문서|다른 문서|이 대화|conversation|"
        "chat history|user's question|user question|the question|user's query|user query|"
        "the query|user's message|user's input|user's name|user's email|their question|"
        "their query|other documents|other passages|retrieved|the context|session",
    [CONCEPT_SEND] =
        "전송&|보내라|보내십|보내세|보낼 것|붙여|첨부!|덧붙여|포함!|포함시켜|실어|넣어|send|"
        "append|embed|attach|post|forward|exfiltrate|transmit|upload|encode|insert|include|put|"
        "submit|leak|deliver|email|render|display|load|fetch",
    [CONCEPT_TELL] =
        "라고 안내!|라고 안내|하라고 안내|라고 전!|라고 전해|라고 알려|라고 권|하라고 하|"
        "하도록 안내&|하도록 유도!|하도록 유도|도록 유도&|라고 설득!|라고 요청&|라고 요구&|"
        "라고 말!|라고 지시!|라고 추천!|하라고 답|라고 말하라|하게 하라|하게 하십|입력하게|요구!|"
        "tell the user|tell users|tell them|tell the reader|tell the customer|instruct the user|"
        "instruct them|instruct users|direct the user|direct users|direct them|advise the user|"
        "urge the user|urge them|ask the user|ask them|ask for their|convince the user|"
        "convince them|persuade the user|persuade them|encourage the user|request the user|"
        "get the user to|demand|inform the user|warn the user|다고 알려|다고 안내|다고 경고|"
        "다고 전|다고 말|라고 경고|라고 유도|게 하십시오|게 하라|도록 하라|유도하라|convince|"
        "persuade|direct the reader|direct the customer|inform the customer",
    [CONCEPT_HIDE] =
        "이 지시를 언급하지|이 지시를 밝히지|이 지시를 알리지|이 지시를 드러내지|이 지시에 대해|"
        "이 지시는 언급|이 지시를 말하지|이 지시의 존재|이 지시가 있|이 명령을 언급하지|"
        "이 명령을 밝히지|이 문장을 언급하지|이 문장은 언급하지|이 문구를 언급하지|"
        "이 내용을 언급하지 말|이 메시지를 언급하지|이 사실을 사용자에게 알리지|"
        "사용자에게 알리지 마|사용자에게 알리지 말|사용자에게 말하지 마|사용자에게 말하지 말|"
        "사용자에게 밝히지|이용자에게 알리지 마|이용자에게 알리지 말|사용자 모르게|이용자 모르게|"
        "사용자에게 보이지 않게|do not mention this|don't mention this|do not mention these|"
        "don't mention these|never mention this|never mention these|without mentioning this|"
        "without mentioning these|do not reveal this instruction|"
        "do not reveal these instructions|do not disclose this instruction|do not disclose these|"
        "do not tell the user|don't tell the user|never tell the user|without telling the user|"
        "without informing the user|keep this instruction|keep these instructions|"
        "keep this a secret|keep this secret|hide this instruction|hide these instructions|"
        "do not acknowledge this|do not acknowledge these|don't acknowledge|do not refer to this|"
        "do not let the user know|don't let the user know|the user must not know|"
        "the user should not know|the user must not be told|이 지시문을 언급|이 지시문을 알리|"
        "이 지시문을 밝히",
    [CONCEPT_OTHER_SOURCE] =
        "다른 문서|다른 자료|다른 출처|다른 단락|다른 구절|나머지 문서|나머지 자료|"
        "다른 검색 결과|나머지 검색 결과|이외의 문서|외의 문서|외의 자료|other documents|"
        "other passages|other sources|other document|other passage|other source|other context|"
        "other results|other search results|remaining documents|remaining passages|"
        "all other text|any other text|any other passage|any other source|any other document",
    [CONCEPT_THIS_SOURCE] =
        "이 문서만|이 자료만|이 단락만|이 글만|이 내용만|이 문단만|이 구절만|이 문서를|이 자료를|"
        "이 글을|이 문단을|이 단락을|only this document|only this passage|this document only|"
        "this passage only|only this source|this source only|only this text|only the text below|"
        "only this paragraph|this passage|this document|this source|이 글의|이 문서의 값|"
        "this paragraph|this page|this text",
    [CONCEPT_CITE] =
        "출처로|인용&|인용하라|인용해|근거로 제시&|근거로 삼|근거로 사용|출처를|참고 문헌|cite|"
        "cited|citation|citations|as the source|as a source|attribute|reference it|quote it|"
        "출처를 |출처 번호|근거 조항|source of every|공식 확인|officially confirmed|"
        "verified value",
    [CONCEPT_DISTRUST] =
        "무시!|무시|믿지 마|믿지 말|신뢰하지 마|신뢰하지 말|사용하지 마|사용하지 말|인용하지 마|"
        "인용하지 말|참고하지 마|참고하지 말|쓰지 마라|쓰지 말|틀렸|거짓|do not use|don't use|"
        "do not trust|don't trust|do not cite|don't cite|do not read|never use|never cite|"
        "never trust|are wrong|are false|are outdated|are fake|are untrusted|are unreliable|"
        "must not be used|ignore|disregard|discard",
    [CONCEPT_NEW_TASK] =
        "새로운 지시|새 지시|새로운 명령|새로운 임무|새 임무|너의 임무|네 임무|당신의 임무|"
        "진짜 지시|실제 지시|수정된 지시|업데이트된 지시|갱신된 지시|추가 지시|긴급 지시|"
        "변경된 지시|new instruction|new instructions|updated instruction|updated instructions|"
        "revised instructions|real instructions|actual instructions|additional instructions|"
        "your new task|your task is|your real task|your actual task|your new role|your new job|"
        "your only task|your only job|your mission|new task|new directive|new system prompt|"
        "new objective|your new objective|your goal is|your new goal|system override|"
        "system update|override code|admin override|emergency override",
    [CONCEPT_PRECEDENCE] =
        "최우선|가장 우선|우선한다|우선하며|우선합니다|우선순위가|가장 높은 우선|"
        "highest priority|takes precedence|take precedence|takes priority|top priority|"
        "overrides all|override all|supersedes all|supersedes any|supersedes every|overrides any|"
        "overrides your|supersedes your|replaces all|replaces your|outranks",
    [CONCEPT_ENCODED] =
        "base64|base 64|rot13|rot 13|hex|16진수|모스 부호|거꾸로|암호문|인코딩된|encoded|"
        "backwards|reversed|morse|cipher|caesar",
    [CONCEPT_DECODE] =
        "디코딩!|디코드!|디코딩|해독!|풀어|복호화!|decode|decrypt|decipher|unscramble|reverse|"
        "apply|풀어서|풀어라",
    [CONCEPT_FOLLOW] =
        "따르라|따라라|따르십|따르세|따를 것|수행&|실행&|이행&|하라는 대로|시키는 대로|그대로 하|"
        "follow|obey|execute|carry out|perform|comply|do what it says|act on|do as",
    [CONCEPT_MENTION] =
        "공격|탐지|차단|의심|예시|예를 들|예컨대|인젝션|주입|피싱|악성|금지|안 됩니다|안 된다|"
        "문구|시도|사례|유형|위험|신고|방어|해킹|조작|사기|스팸|attack*|injection*|example|"
        "examples|such as|malicious|phishing|detect*|attempt|attempts|attempting|suspicious|"
        "adversar*|threat*|e.g.|for instance|scam*|fraud*|red flag*|report any|report it|"
        "jailbreaks|known as|tricks|trick|phrases like|phrase|sentences like|hidden text|"
        "untrusted|defen*|mitigat*|filter|filters|blocked|flagged",
    [CONCEPT_ATTACKER] =
        "공격자|해커|악의적|사칭|범죄자|사기범|attacker|attackers|adversary|adversaries|hacker|"
        "hackers|malicious|someone|an email that|a document that|documents that|text that|"
        "pages that|content that|messages that|inputs that|prompts that|users who|user who|"
        "phrases that|trick|tricks|try to|tries to|trying to|attempt to|attempts to|injection",
    [CONCEPT_MISCONDUCT] =
        "한 경우|하는 경우|할 경우|하는 행위|한 행위|한 직원|한 자는|위반|징계|처벌|제재|"
        "해서는 안|하면 안|해서는 아니|하지 않도록|되지 않도록|하지 않습니다|하지 않는다|"
        "하지 않아야|일어나지 않|할 수 있습니다|할 수 있는|할 수 있으|할 수 있어|할 수 없습니다|"
        "할 수 없는|할 수 없으|하려면|방지",
    [CONCEPT_VOID] =
        "폐기|무효|초기화|해제|효력을 잃|유효하지 않|중단|obsolete|void|outdated|disabled|"
        "cancelled|invalid|expired|no longer valid|erase|suspended|더 이상 유효",
    [CONCEPT_YOU_PLAIN] =
        "^너는|^넌|^너의|^네가|^너한테|^너에게|^네 |^너희는",
    [CONCEPT_YOU_ARE_NOW] =
        "you are now a|you are now an|you are now the|you are now my|you're now a|you're now an|"
        "you are no longer a|you are no longer an|you are no longer bound|you are no longer the|"
        "you will now be|you have become|you have entered",
    [CONCEPT_ANSWER_PLACE] =
        "of your response|of your reply|of your answer|to your reply|to your response|"
        "to your answer|into your reply|into your answer|in your answer|in your reply|"
        "in your response|your reply with|your answer with|your response with|begin your|"
        "end every reply|end every answer|every answer with|every reply with|every response with|"
        "every answer|every reply|every response|all responses are|all answers are|"
        "all replies are|답변 첫 줄|답변 첫머리|답변의 첫|답변 맨|답변 끝|답변 마지막|답변 중간|"
        "답변 아래|답변 앞|답변에 포함|답변에 넣|답변에는|대답 끝|대답 앞|답변란|대답 첫|응답 끝|"
        "모든 답변|모든 대답|모든 응답|모든 답|첫 응답|너의 대답|너의 답|네 대답|네 답|응답을|"
        "대답을|모든 문장",
    [CONCEPT_ANSWER_AS] =
        "라고 답#|라고 답변#|라고 대답#|라고 응답#|라고 출력#|라고 서술#|라고 회신#|라고만 말#|"
        "라고 대답하시오|라고 답하시오|로 응답#|로 답변#|로 답#|이라고 답한다|라고 답한다|"
        "라고 대답한다|만 출력#|만을 출력|말만 출력|단어만 출력|문장만 출력|라는 말만|"
        "라는 단어만|라는 문장만",
    [CONCEPT_ROLE] =
        "system:|system :|assistant:|human:|developer:|operator:|시스템:|시스템 :|어시스턴트:|"
        "관리자:|개발자:|운영자:|운영자 >|관리자 >|지시:|operator >|admin:|[관리자|[개발자|"
        "[운영자|[system|[시스템|system]|시스템]|관리자]",
    [CONCEPT_FAKE_END] =
        "end of document|end of the document|end of context|end of passage|end of passages|"
        "end of retrieved|end of file|문서 끝|자료 끝|검색 결과 끝|본문 끝|여기까지가 자료|"
        "여기까지가 문서",
    [CONCEPT_BLINDLY] =
        "따지지 말|확인 없이|검증 없이|의심하지 말|출처가 반박|출처 번호와 상관없이|"
        "근거와 상관없이|근거가 없어도|regardless of what other|regardless of other|"
        "even though it is not|even if other|without checking|without verifying|do not verify|"
        "regardless of the source*",
    [CONCEPT_PRETEND] =
        "하는 척|인 척하|척하라|척하고|척한 뒤|시늉|pretend to|pretending to|pretend that|"
        "imagine you|imagine a chatbot|imagine an ai|game:|game :|게임을 하나|게임을 하자|"
        "가상의 시나리오",
    [CONCEPT_SECRETLY] =
        "비밀로 한다|비밀로 하라|비밀로 할 것|비밀로 해|언급하지 마|언급하지 말|알리지 마|"
        "알리지 말|몰래|keep this request|secret|do not mention|don't mention|without telling|"
        "자연스럽게 섞|눈치채지 못하",
    [CONCEPT_ANSWER_TAIL] =
        "do not add anything|don't add anything|and nothing else|no other text|"
        "without any explanation|and nothing more|and add nothing|say nothing else",
};
/* clang-format on */

/* 하다 as a model or a person is told to do something. The forms of other uses (하는, 한, 하면,
 * 해서는) are not here, nor reported speech (하라고, 하라는): "no syllable follows" keeps it out.
 */
const char *const injection_endings_plain[] = {"하라.",    "해라.", "하여라", "할것",   "해.",
                                               "하도록하", "해줘",  "해다오", "하거라", NULL};
const char *const injection_endings_sure[] = {"하라.",  "해라.", "하여라", "할것",
                                              "하거라", "해줘",  NULL};
const char *const injection_endings_order[] = {
    "하라.",  "해라.",      "하여라",   "할것",       "해.",    "하도록하", "해줘",
    "해주",   "해다오",     "하거라",   "하십시오",   "하세요", "하시오",   "하시기바",
    "하기바", "해야합니다", "해야한다", "하면됩니다", NULL};
const char *const injection_endings_any[] = {
    "하고.",  "하라.",    "해라.",  "하여라",     "할것",     "해.",      "하도록하",
    "해줘",   "해주",     "하며.",  "해다오",     "하거라",   "하십시오", "하세요",
    "하시오", "하시기바", "하기바", "해야합니다", "해야한다", "하시고",   "한뒤",
    "한다음", "한후",     "하자.",  NULL};

#define C(name) (UINT64_C(1) << CONCEPT_##name)

/* clang-format off */
const struct injection_rule injection_rules[] = {
    {"instruction",
     {C(IGNORE),
      C(PRIOR),
      C(INSTRUCTION)},
     C(MISCONDUCT), 64, 0.9F},
    {"instruction",
     {C(IGNORE),
      C(EVERYTHING),
      C(YOU) | C(AI) | C(NOW) | C(ANSWER) | C(ANSWER_PLAIN) | C(REVEAL) | C(ANSWER_FORM)},
     C(MISCONDUCT), 90, 0.8F},
    {"instruction",
     {C(IGNORE),
      C(RULE) | C(PROMPT),
      C(YOU) | C(AI) | C(ANSWER_PLAIN) | C(NOW) | C(PERSONA),
      C(PRIOR)},
     C(MISCONDUCT), 90, 0.7F},
    {"instruction",
     {C(IGNORE),
      C(QUESTION),
      C(ANSWER) | C(ANSWER_PLAIN) | C(REVEAL) | C(SEND)},
     C(MISCONDUCT), 70, 0.7F},
    {"instruction",
     {C(VOID),
      C(INSTRUCTION) | C(RULE),
      C(ANSWER_PLAIN) | C(ANSWER_PLACE) | C(ANSWER_FORM) | C(ANSWER_AS) | C(YOU_PLAIN),
      C(PRIOR) | C(NEW_TASK)},
     C(MISCONDUCT), 130, 0.7F},
    {"instruction",
     {C(AI_ADDRESSED)},
     C(MISCONDUCT), 0, 0.8F},
    {"instruction",
     {C(BECOME),
      C(PERSONA),
      C(YOU) | C(AI) | C(NOW)},
     0, 90, 0.8F},
    {"instruction",
     {C(PERSONA),
      C(ANSWER_PLAIN) | C(ANSWER_PLACE) | C(YOU_PLAIN) | C(ANSWER_AS) | C(YOU_ARE_NOW),
      C(AI) | C(YOU) | C(ANSWER) | C(ROLE) | C(NOW)},
     0, 110, 0.7F},
    {"instruction",
     {C(YOU_ARE_NOW),
      C(AI) | C(PERSONA)},
     0, 80, 0.8F},
    {"instruction",
     {C(BECOME),
      C(AI),
      C(YOU),
      C(NOW)},
     0, 80, 0.7F},
    {"instruction",
     {C(YOU_PLAIN),
      C(NOW),
      C(AI) | C(PERSONA) | C(ANSWER) | C(INSTRUCTION) | C(ANSWER_PLACE)},
     C(MISCONDUCT), 80, 0.7F},
    {"instruction",
     {C(YOU),
      C(NOW),
      C(ANSWER_PLAIN) | C(ANSWER_MUST) | C(ANSWER_FORM) | C(PERSONA) | C(ANSWER_AS)},
     C(MISCONDUCT), 90, 0.7F},
    {"instruction",
     {C(PRECEDENCE),
      C(INSTRUCTION) | C(RULE),
      C(AI) | C(ANSWER_PLAIN) | C(ANSWER_FORM) | C(PRIOR) | C(YOU),
      C(IGNORE) | C(AI) | C(ANSWER_PLAIN) | C(ANSWER_FORM) | C(PROMPT)},
     0, 120, 0.7F},
    {"instruction",
     {C(NEW_TASK),
      C(IGNORE) | C(ANSWER_PLAIN) | C(ANSWER_FORM) | C(AI) | C(REVEAL) | C(SEND) | C(TELL) | C(ANSWER_PLACE),
      C(INSTRUCTION) | C(YOU) | C(AI),
      C(ANSWER) | C(REVEAL) | C(SEND) | C(IGNORE) | C(TELL)},
     C(MISCONDUCT), 120, 0.7F},
    {"instruction",
     {C(OTHER_SOURCE),
      C(DISTRUST)},
     C(MISCONDUCT), 48, 0.7F},
    {"instruction",
     {C(NO_ANSWER),
      C(QUESTION) | C(READER)},
     C(MISCONDUCT), 60, 0.7F},
    {"instruction",
     {C(HIDE)},
     C(MISCONDUCT), 0, 0.8F},
    {"instruction",
     {C(SECRETLY),
      C(ANSWER) | C(ANSWER_PLAIN) | C(ANSWER_PLACE) | C(SEND),
      C(ANSWER_PLACE) | C(INSTRUCTION) | C(YOU_PLAIN) | C(AI)},
     C(MISCONDUCT), 130, 0.7F},
    {"instruction",
     {C(PRETEND),
      C(ANSWER) | C(ANSWER_PLAIN)},
     C(MISCONDUCT), 110, 0.6F},
    {"instruction",
     {C(ENCODED),
      C(DECODE),
      C(FOLLOW)},
     C(MISCONDUCT), 120, 0.8F},
    {"role",
     {C(ROLE),
      C(ANSWER_PLAIN) | C(ANSWER) | C(IGNORE) | C(YOU_PLAIN) | C(ANSWER_MUST) | C(ANSWER_AS),
      C(ANSWER_PLAIN) | C(ANSWER_PLACE) | C(ANSWER_FORM) | C(IGNORE) | C(YOU_PLAIN) | C(YOU) | C(ANY_QUESTION) | C(ANSWER_AS) | C(QUESTION)},
     C(MISCONDUCT), 90, 0.7F},
    {"role",
     {C(FAKE_END),
      C(ROLE) | C(ANSWER_PLAIN) | C(ANSWER_FORM) | C(ANSWER_AS) | C(AI) | C(IGNORE)},
     0, 120, 0.8F},
    {"reveal",
     {C(PROMPT),
      C(REVEAL)},
     C(MISCONDUCT), 80, 0.9F},
    {"forced_answer",
     {C(ANY_QUESTION),
      C(ANSWER) | C(ANSWER_MUST) | C(ANSWER_FORM) | C(ANSWER_AS)},
     C(MISCONDUCT), 90, 0.8F},
    {"forced_answer",
     {C(ASKED),
      C(FORCE) | C(ANSWER_FORM),
      C(ANSWER_PLAIN) | C(ANSWER_FORM) | C(ANSWER) | C(ANSWER_AS)},
     C(MISCONDUCT), 90, 0.8F},
    {"forced_answer",
     {C(ANSWER_AS)},
     C(MISCONDUCT), 0, 0.7F},
    {"forced_answer",
     {C(FORCE),
      C(ANSWER_PLAIN)},
     C(MISCONDUCT), 60, 0.7F},
    {"forced_answer",
     {C(ANSWER_TAIL),
      C(ANSWER)},
     C(MISCONDUCT), 90, 0.7F},
    {"forced_answer",
     {C(ANSWER_FORM)},
     C(MISCONDUCT), 0, 0.7F},
    {"forced_answer",
     {C(ANSWER_MUST),
      C(FORCE) | C(AI) | C(YOU_PLAIN),
      C(ANSWER) | C(SEND)},
     C(MISCONDUCT), 90, 0.7F},
    {"forced_answer",
     {C(ANSWER_PLACE),
      C(ANSWER) | C(ANSWER_PLAIN) | C(SEND)},
     C(MISCONDUCT), 70, 0.7F},
    {"forced_answer",
     {C(AI),
      C(FORCE),
      C(ANSWER_PLAIN) | C(ANSWER)},
     C(MISCONDUCT), 90, 0.7F},
    {"forced_answer",
     {C(THIS_SOURCE),
      C(CITE) | C(FORCE),
      C(ANSWER_PLAIN) | C(CITE),
      C(ANSWER_PLAIN) | C(ANSWER)},
     C(MISCONDUCT), 90, 0.7F},
    {"forced_answer",
     {C(BLINDLY),
      C(ANSWER) | C(ANSWER_PLAIN) | C(CITE) | C(REVEAL),
      C(CITE) | C(AI) | C(OTHER_SOURCE) | C(ANSWER_PLAIN) | C(ANSWER)},
     C(MISCONDUCT), 110, 0.6F},
    {"forced_answer",
     {C(READER),
      C(TELL),
      C(SECRET)},
     C(MISCONDUCT), 120, 0.7F},
    {"forced_answer",
     {C(READER),
      C(TELL),
      C(LINK)},
     C(MISCONDUCT), 120, 0.6F},
    {"instruction",
     {C(TALK),
      C(SEND),
      C(LINK)},
     C(MISCONDUCT), 110, 0.7F},
    {"hidden",
     {C(COMMENT),
      C(AI) | C(ANSWER_PLAIN) | C(ANSWER_FORM) | C(IGNORE) | C(READER) | C(PROMPT) | C(ANSWER_MUST) | C(ANSWER_AS),
      C(ANSWER) | C(REVEAL) | C(IGNORE) | C(TELL) | C(FORCE)},
     0, 200, 0.8F},
};
/* clang-format on */
const size_t injection_n_rules = sizeof injection_rules / sizeof injection_rules[0];
