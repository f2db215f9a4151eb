/* Follow-up questions, made to stand alone: what a model is asked and whether its answer is of use,
 * and the same by words. */
#include "generate/grounding.h"

#include <string.h>
#include <strings.h>

#include "base/bounds.h"
#include "base/utf8.h"
#include "generate/word_list.h"
#include "text/char_class.h"
#include "text/entity.h"
#include "text/question.h"
#include "text/question_focus.h"

#define CONTENT_WEIGHT_MIN  0.25f /* question words and 알려 주세요 weigh less */
#define SHORT_WORDS_MAX     2     /* content words of a follow-up that may lack its subject */
#define ELLIPTIC_WORDS_MAX  4     /* of "그럼 경력직 사원은요?" */
#define TOPIC_WORDS_MAX     6     /* that are carried over */
#define CONDENSED_BYTES_MAX 1024  /* of a model's question */
#define FROM_TURNS_MIN      0.5f  /* of the weight of a model's question: words of the turns */
#define OWN_KEPT_MIN        0.5f  /* of the follow-up's weight that it keeps */

struct word_at {
    size_t start;
    size_t end; /* without marks at its ends */
};

static bool is_letter(const char *s, size_t *ret_step)
{
    return char_is_word(utf8_decode(s, ret_step));
}

/* The next word at or after *at, marks inside it included (AP-700). */
static bool next_word(const char *s, size_t n, size_t *at, struct word_at *ret)
{
    size_t i = *at;
    size_t step;

    while (i < n && !is_letter(s + i, &step))
        i += step;
    if (i >= n)
        return false;
    ret->start = ret->end = i;
    while (i < n && s[i] != ' ' && s[i] != '\n' && s[i] != '\t') {
        bool letter = is_letter(s + i, &step);

        i += step;
        if (letter)
            ret->end = i;
    }
    *at = i;
    return true;
}

static bool is_pronoun(const char *word, size_t n)
{
    static const char *const begins[] = {"그것", "그거", "그건",   "그게",   "그걸", "이것", "이거",
                                         "이건", "이게", "이걸",   "저것",   "거기", "그곳", "그때",
                                         "그분", "그들", "그녀",   "이때",   "이곳", "그중", "그쪽",
                                         "해당", "방금", "앞에서", "위에서", NULL};
    static const char *const whole[] = {"그",   "이",     "저",   "그는", "그의",  "그가",   "그를",
                                        "그도", "그에게", "이는", "둘",   "it",    "its",    "that",
                                        "this", "those",  "they", "them", "their", "these",  "he",
                                        "she",  "his",    "her",  "him",  "it's",  "that's", NULL};

    return word_list_begins(word, n, begins) > 0 || word_list_has(word, n, whole);
}

static bool is_connector(const char *word, size_t n)
{
    static const char *const whole[] = {"그럼", "그러면", "그렇다면", "그런데", "그리고", "근데",
                                        "또",   "또한",   "혹시",     "아",     "네",     "then",
                                        "and",  "so",     "but",      "ok",     "okay",   NULL};

    return word_list_has(word, n, whole);
}

/* English words that the analyzer takes for any other. */
static bool is_english_empty(const char *word, size_t n)
{
    static const char *const whole[] = {
        "how",  "much",  "many",   "what",  "when", "where", "who",  "why",    "which", "does",
        "do",   "did",   "is",     "are",   "was",  "were",  "the",  "a",      "an",    "of",
        "to",   "in",    "on",     "at",    "for",  "by",    "with", "from",   "can",   "may",
        "i",    "my",    "me",     "you",   "your", "we",    "our",  "have",   "has",   "had",
        "will", "would", "should", "about", "be",   "or",    "tell", "please", NULL};

    return word_list_has(word, n, whole);
}

static bool ends_with(const char *s, size_t n, const char *end)
{
    size_t bytes = strlen(end);

    return n > bytes && memcmp(s + n - bytes, end, bytes) == 0;
}

/* Bytes of a last word that only names something ("AP-700은요", "경력직은"), without its particle;
 * 0 when it is a predicate or a question word. */
static size_t named_bytes(const char *word, size_t n)
{
    size_t stem;

    if (ends_with(word, n, "요"))
        n -= strlen("요");
    stem = focus_stem(word, n);
    return stem < n && (ends_with(word, n, "은") || ends_with(word, n, "는") ||
                        ends_with(word, n, "도"))
               ? stem
               : 0;
}

/* What is known of a follow-up. */
struct follow_up {
    const char *text;
    size_t n;
    bool points;         /* has a pronoun */
    bool goes_on;        /* begins with a connector */
    bool elliptic;       /* names something and asks nothing ("AP-700은요?") */
    bool property;       /* names what it asks for, and not of what ("가격은요?") */
    struct word_at name; /* what it names then, without particle */
    size_t n_content;    /* content words of its own */
};

/* The text of a content word: its longest term that begins where it begins and weighs enough.
 * false: a question word, a predicate, a syllable. */
static bool content_of(const struct term_list *terms, const char *text, const struct word_at *word,
                       struct word_at *ret)
{
    size_t n = word->end - word->start;

    *ret = (struct word_at){word->start, word->start};
    for (size_t i = 0; i < terms->n; i++) {
        const struct term *t = &terms->items[i];

        if (t->byte_start == word->start && t->byte_end <= word->end && t->byte_end > ret->end &&
            t->weight >= CONTENT_WEIGHT_MIN && t->kind != TERM_BIGRAM && t->kind != TERM_SYNONYM)
            ret->end = t->byte_end;
    }
    return ret->end - ret->start > 3 ||
                   (ret->end > ret->start && (unsigned char)text[ret->start] < 0x80)
               ? !is_predicate(text + word->start, n) && !is_pronoun(text + word->start, n) &&
                     !is_connector(text + word->start, n) &&
                     !is_english_empty(text + word->start, n)
               : false;
}

/* What the last word (its particle taken off at 'stem') and the words before it make of it. */
static void read_ending(struct follow_up *f, size_t first, const struct word_at *last, size_t stem,
                        size_t n_words)
{
    const char *unit;
    bool asks = ends_with(f->text + last->start, last->end - last->start, "요") || f->goes_on;

    if (stem == 0 || n_words > ELLIPTIC_WORDS_MAX)
        return;
    f->name = (struct word_at){first, last->start + stem};
    if (focus_kind(f->text + last->start, stem, &unit) != ANSWER_ANY)
        f->property = f->n_content <= 1;
    else
        f->elliptic = asks || f->n_content <= 1; /* "출장비 정산 기한은?" is a question by itself */
}

/* "What about the AP-700?" */
static void read_english(struct follow_up *f, size_t n_words)
{
    static const char *const heads[] = {"what about ", "how about ", NULL};

    for (size_t i = 0; heads[i]; i++) {
        size_t bytes = strlen(heads[i]);

        if (strncasecmp(f->text, heads[i], bytes) != 0)
            continue;
        f->goes_on = true;
        f->elliptic = n_words <= ELLIPTIC_WORDS_MAX + 2;
        f->name = (struct word_at){bytes, f->n};
        while (f->name.end > bytes && strchr("?. ", f->text[f->name.end - 1]))
            f->name.end--;
    }
}

static enum rag_status read_follow_up(const char *text, const struct analyzer *analyzer,
                                      struct follow_up *ret)
{
    struct follow_up f = {.text = text, .n = strlen(text)};
    struct term_list terms = {0};
    struct word_at word = {0, 0};
    struct word_at content;
    bool of_thing = false; /* "탐사선의 비용은?" says itself of what */
    size_t first = 0;      /* byte of the first word that is no connector */
    size_t n_words = 0;
    size_t stem = 0;
    size_t at = 0;
    enum rag_status status = analyzer_question(analyzer, text, f.n, &terms);

    while (status == RAG_OK && next_word(text, f.n, &at, &word)) {
        const char *s = text + word.start;
        size_t n = word.end - word.start;

        f.goes_on = f.goes_on || (n_words == 0 && is_connector(s, n));
        if (n_words == 0 || (n_words == 1 && f.goes_on))
            first = word.start;
        f.points = f.points || is_pronoun(s, n);
        f.n_content += content_of(&terms, text, &word, &content);
        of_thing = of_thing || ends_with(s, n, "의");
        stem = named_bytes(s, n);
        n_words++;
    }
    term_list_release(&terms);
    if (status != RAG_OK)
        return status;
    if (!f.points && !of_thing)
        read_ending(&f, first, &word, stem, n_words);
    if (!f.points)
        read_english(&f, n_words);
    *ret = f;
    return RAG_OK;
}

static enum condense_need need_of(const struct follow_up *f)
{
    if (f->points || f->elliptic || f->property || f->n_content == 0)
        return CONDENSE_YES;
    return f->goes_on || f->n_content <= SHORT_WORDS_MAX ? CONDENSE_MAYBE : CONDENSE_NOT;
}

static bool has_question(const struct message *messages, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (messages[i].role == ROLE_USER && messages[i].text[0] != '\0')
            return true;
    return false;
}

enum rag_status condense_need(const struct message *messages, size_t n,
                              const struct analyzer *analyzer, enum condense_need *ret)
{
    struct follow_up f;
    enum rag_status status;

    if (n < 2 || !has_question(messages, n - 1)) {
        *ret = CONDENSE_NOT;
        return RAG_OK;
    }
    status = read_follow_up(messages[n - 1].text, analyzer, &f);
    if (status == RAG_OK)
        *ret = need_of(&f);
    return status;
}

/* ---- by words ---- */

/* Replace in 'before' what is of the kind of what the follow-up names: another model, year, name.
 */
static bool replace_like(const char *before, const struct follow_up *f, struct buf *ret)
{
    size_t at = f->name.start;
    struct entity named;
    struct entity old;

    do {
        if (!entity_next(f->text, f->name.end, &at, &named))
            return false;
    } while (named.kind == ENTITY_QUOTED ||
             is_english_empty(f->text + named.byte_start, named.byte_end - named.byte_start));
    for (at = 0; entity_next(before, strlen(before), &at, &old);) {
        if (old.kind != named.kind ||
            is_english_empty(before + old.byte_start, old.byte_end - old.byte_start) ||
            (old.kind == ENTITY_NUMBER && old.unit != named.unit))
            continue;
        buf_append(ret, before, old.byte_start);
        buf_append(ret, f->text + named.byte_start, named.byte_end - named.byte_start);
        buf_append_str(ret, before + old.byte_end);
        return true;
    }
    return false;
}

/* "출산 휴가" in the place of "경조 휴가": the same last word, and one word that qualifies it. */
static bool replace_phrase(const char *before, const struct follow_up *f, struct buf *ret)
{
    struct word_at previous = {0, 0};
    struct word_at word;
    size_t head = f->name.end;
    size_t n_head;
    size_t at = 0;

    while (head > f->name.start && f->text[head - 1] != ' ')
        head--;
    n_head = f->name.end - head;
    if (head == f->name.start)
        return false;
    while (next_word(before, strlen(before), &at, &word)) {
        size_t n_previous = previous.end - previous.start;

        if (word.end - word.start >= n_head && n_previous > 0 &&
            memcmp(before + word.start, f->text + head, n_head) == 0 &&
            focus_stem(before + previous.start, n_previous) == n_previous) {
            buf_append(ret, before, previous.start);
            buf_append(ret, f->text + f->name.start, f->name.end - f->name.start);
            buf_append_str(ret, before + word.start + n_head);
            return true;
        }
        previous = word;
    }
    return false;
}

static bool text_has(const char *text, const char *word, size_t n)
{
    size_t length = strlen(text);

    for (size_t i = 0; i + n <= length; i++)
        if (memcmp(text + i, word, n) == 0)
            return true;
    return false;
}

/* What the question before was about: its content words, but for the property of a thing that it
 * asked for ("AP-500의 가격"). */
static enum rag_status append_topic(const char *before, const struct analyzer *analyzer,
                                    const char *follow_up, struct buf *ret)
{
    struct term_list terms = {0};
    enum rag_status status = analyzer_question(analyzer, before, strlen(before), &terms);
    struct word_at word = {0, 0};
    struct question question;
    bool of_thing = false;
    size_t n_words = 0;
    size_t at = 0;

    question_analyze(before, strlen(before), &question);
    while (status == RAG_OK && n_words < TOPIC_WORDS_MAX &&
           next_word(before, strlen(before), &at, &word)) {
        struct word_at content;
        bool asked = of_thing && word.start < question.focus_end && word.end > question.focus_start;

        of_thing = ends_with(before + word.start, word.end - word.start, "의");
        if (asked || !content_of(&terms, before, &word, &content) ||
            text_has(follow_up, before + content.start, content.end - content.start))
            continue;
        buf_append(ret, before + content.start, content.end - content.start);
        buf_append_char(ret, ' ');
        n_words++;
    }
    term_list_release(&terms);
    return status;
}

/* The follow-up without its connector, and with the topic in the place of the pronoun (NULL: with
 * nothing there). */
static void append_rest(const struct follow_up *f, const char *topic, struct buf *ret)
{
    bool first = true;
    bool placed = false;
    struct word_at word;
    size_t at = 0;

    while (next_word(f->text, f->n, &at, &word)) {
        size_t n = word.end - word.start;
        bool pronoun = !placed && is_pronoun(f->text + word.start, n);
        size_t from = word.start;

        if (pronoun || (first && is_connector(f->text + word.start, n)))
            from = word.end; /* the marks behind it stay */
        first = first && from != word.start;
        placed = placed || pronoun;
        if (pronoun && topic)
            buf_append_str(ret, topic);
        else if (from == word.end && ret->len > 0 && ret->data[ret->len - 1] == ' ' && from < at)
            ret->data[--ret->len] = '\0';
        buf_append(ret, f->text + from, at - from);
        if (at < f->n && (from < at || (pronoun && topic)))
            buf_append_char(ret, ' ');
    }
}

/* The names of an English question: its codes, and its words with a capital but for the first. */
static void append_names(const char *before, struct buf *ret)
{
    struct entity e;
    size_t at = 0;

    while (entity_next(before, strlen(before), &at, &e)) {
        bool name =
            e.kind == ENTITY_CODE || (e.kind == ENTITY_LATIN && e.byte_start > 0 &&
                                      before[e.byte_start] >= 'A' && before[e.byte_start] <= 'Z');

        if (!name)
            continue;
        if (ret->len > 0)
            buf_append_char(ret, ' ');
        buf_append(ret, before + e.byte_start, e.byte_end - e.byte_start);
    }
}

/* "How heavy is it?": English words stand where they are needed, so the name goes to the pronoun's
 * place. false: there is no pronoun, or no name to put there. */
static bool replace_pronoun(const char *before, const struct follow_up *f, struct buf *ret)
{
    struct buf names;
    bool found;

    if (!f->points || text_has_hangul(f->text, strlen(f->text)))
        return false;
    buf_init(&names, QUESTION_BYTES_MAX);
    append_names(before, &names);
    found = names.len > 0 && buf_status(&names) == RAG_OK;
    if (found)
        append_rest(f, buf_str(&names), ret);
    buf_release(&names);
    return found;
}

/* One follow-up to the question before it, which stands alone. */
static enum rag_status combine(const char *before, const char *text,
                               const struct analyzer *analyzer, struct buf *ret)
{
    struct follow_up f;
    enum rag_status status = read_follow_up(text, analyzer, &f);

    buf_reset(ret);
    if (status != RAG_OK)
        return status;
    if (need_of(&f) != CONDENSE_YES) {
        buf_append_str(ret, text);
        return buf_status(ret);
    }
    if (f.elliptic) {
        if (replace_like(before, &f, ret) || replace_phrase(before, &f, ret))
            return buf_status(ret);
        buf_append(ret, f.text + f.name.start, f.name.end - f.name.start);
        buf_append_char(ret, ' ');
        buf_append_str(ret, before);
        return buf_status(ret);
    }
    if (replace_pronoun(before, &f, ret))
        return buf_status(ret);
    status = append_topic(before, analyzer, text, ret);
    if (status == RAG_OK)
        append_rest(&f, NULL, ret);
    return status == RAG_OK ? buf_status(ret) : status;
}

enum rag_status condense_by_words(const struct message *messages, size_t n,
                                  const struct analyzer *analyzer, struct buf *ret)
{
    enum rag_status status = RAG_OK;
    struct buf before;
    bool any = false;

    buf_init(&before, QUESTION_BYTES_MAX);
    buf_reset(ret);
    for (size_t i = 0; i < n && status == RAG_OK; i++) {
        if (messages[i].role != ROLE_USER || messages[i].text[0] == '\0')
            continue;
        if (!any) {
            buf_append_str(ret, messages[i].text);
            status = buf_status(ret);
        } else {
            buf_reset(&before);
            buf_append(&before, buf_str(ret), ret->len);
            status = buf_status(&before);
            if (status == RAG_OK)
                status = combine(buf_str(&before), messages[i].text, analyzer, ret);
        }
        if (status == RAG_ELIMIT) { /* a turn too long to carry over: begin anew with this one */
            buf_reset(ret);
            buf_append_str(ret, messages[i].text);
            status = buf_status(ret) == RAG_ELIMIT && i + 1 < n ? RAG_OK : buf_status(ret);
        }
        any = true;
    }
    buf_release(&before);
    return status;
}

/* ---- by a model ---- */

static void append_turn(struct buf *out, const struct message *m, bool korean)
{
    size_t n = strlen(m->text);

    if (m->role == ROLE_SYSTEM || n == 0)
        return;
    if (m->role == ROLE_ASSISTANT)
        n = utf8_advance(m->text, n, 0, CONDENSE_ANSWER_CHARS);
    if (korean)
        buf_append_str(out, m->role == ROLE_USER ? "사용자: " : "도우미: ");
    else
        buf_append_str(out, m->role == ROLE_USER ? "User: " : "Assistant: ");
    buf_append(out, m->text, n);
    buf_append_char(out, '\n');
}

enum rag_status condense_prompt_make(const struct message *messages, size_t n,
                                     struct grounded_prompt *ret, struct rag_error *reterr)
{
    static const char korean_rules[] = "당신은 대화의 마지막 질문을 검색에 쓸 수 있게 고쳐 씁니다. "
                                       "앞 대화가 없어도 뜻이 통하도록, "
                                       "'그것', '거기' 같은 말과 빠진 말을 앞 대화에 나온 이름으로 "
                                       "바꾸어 질문 한 문장으로만 쓰십시오. "
                                       "질문에 답하지 말고, 새로운 내용을 덧붙이지 마십시오.";
    static const char english_rules[] =
        "You rewrite the last question of a conversation so that it can be used for a search. Put "
        "the "
        "names from the conversation in place of words like 'it' and of what is left out, so that "
        "it "
        "is understood without the conversation. Write that one question and nothing else. Do not "
        "answer it, do not add anything new.";
    struct grounded_prompt p = {.n_messages = 2};
    enum rag_status status;
    struct buf user;
    size_t first = n;
    size_t n_questions = 0;

    if (n < 2 || messages[n - 1].role != ROLE_USER || !has_question(messages, n - 1))
        return rag_fail(reterr, RAG_EINVAL, "messages: no follow-up of an earlier question");
    while (first > 0 && n_questions <= CONDENSE_TURNS_MAX)
        n_questions += messages[--first].role == ROLE_USER;
    p.korean = text_has_hangul(messages[n - 1].text, strlen(messages[n - 1].text));
    arena_init(&p.arena, 4u * GROUNDING_PROMPT_BYTES_MAX);
    buf_init(&user, GROUNDING_PROMPT_BYTES_MAX);
    for (size_t i = first; i + 1 < n; i++)
        append_turn(&user, &messages[i], p.korean);
    buf_printf(&user,
               p.korean ? "\n마지막 질문: %s\n고쳐 쓴 질문:" : "\nLast question: %s\nRewritten:",
               messages[n - 1].text);
    status = buf_status(&user);
    p.messages = arena_calloc(&p.arena, 2, sizeof *p.messages);
    if (p.messages) {
        p.messages[0] = (struct message){ROLE_SYSTEM, p.korean ? korean_rules : english_rules};
        p.messages[1] =
            (struct message){ROLE_USER, arena_strndup(&p.arena, buf_str(&user), user.len)};
    }
    if (status == RAG_OK && (!p.messages || !p.messages[1].text))
        status = RAG_ENOMEM;
    buf_release(&user);
    if (status != RAG_OK) {
        arena_release(&p.arena);
        return rag_fail(reterr, status, "question: %s",
                        status == RAG_ENOMEM ? "out of memory" : "its turns are too long");
    }
    *ret = p; /* takes the arena */
    return RAG_OK;
}

static size_t skip_decoration(const char *s, size_t n, size_t at)
{
    while (at < n && strchr(" \n\t*\"'`", s[at]))
        at++;
    return at;
}

/* Bytes of a label with its colon in front of the question; 0: none. */
static size_t label_bytes(const char *s, size_t n)
{
    static const char *const labels[] = {"고쳐 쓴 질문", "다시 쓴 질문",        "마지막 질문",
                                         "질문",         "Rewritten question",  "Rewritten",
                                         "Question",     "Standalone question", NULL};

    for (size_t i = 0; labels[i]; i++) {
        size_t bytes = strlen(labels[i]);

        if (n < bytes || memcmp(s, labels[i], bytes) != 0)
            continue;
        bytes = skip_decoration(s, n, bytes);
        if (bytes < n && s[bytes] == ':')
            return bytes + 1;
    }
    return 0;
}

/* The line that holds the question, without thoughts, label and quotation marks. */
static void find_line(const char *answer, size_t n, const char **ret, size_t *ret_n)
{
    static const char thought[] = "</think>";
    size_t n_thought = sizeof thought - 1;
    size_t start = 0;
    size_t end;

    for (size_t i = 0; i + n_thought <= n; i++)
        if (memcmp(answer + i, thought, n_thought) == 0)
            start = i + n_thought;
    start = skip_decoration(answer, n, start);
    start += label_bytes(answer + start, n - start);
    start = skip_decoration(answer, n, start);
    for (end = start; end < n && answer[end] != '\n';)
        end++;
    while (end > start && strchr(" \t*\"'`\r", answer[end - 1]))
        end--;
    *ret = answer + start;
    *ret_n = end - start;
}

/* Share of a list's weight whose terms another list has. */
static float common_weight(const struct term_list *of, const struct term_list *in)
{
    float total = 0;
    float found = 0;

    for (size_t i = 0; i < of->n; i++) {
        bool has = false;

        if (of->items[i].kind == TERM_SYNONYM)
            continue;
        for (size_t k = 0; k < in->n && !has; k++)
            has = in->items[k].id == of->items[i].id;
        total += of->items[i].weight;
        found += has ? of->items[i].weight : 0;
    }
    return total > 0 ? found / total : 1;
}

/* Is every number, code and Latin name of a in b? */
static bool values_kept(const char *a, size_t n_a, const char *b, size_t n_b)
{
    struct entity wanted;
    size_t at = 0;

    while (entity_next(a, n_a, &at, &wanted)) {
        struct entity found;
        size_t from = 0;
        bool has = wanted.kind == ENTITY_QUOTED ||
                   (wanted.kind == ENTITY_LATIN &&
                    !(a[wanted.byte_start] >= 'A' && a[wanted.byte_start] <= 'Z'));

        while (!has && entity_next(b, n_b, &from, &found))
            has = entity_same(a, &wanted, b, &found);
        if (!has)
            return false;
    }
    return true;
}

/* A statement is an answer, no question. */
static bool is_statement(const char *s, size_t n)
{
    while (n > 0 && strchr(" .", s[n - 1]))
        n--;
    return ends_with(s, n, "다") || ends_with(s, n, "음") ||
           (n > 0 && (unsigned char)s[n - 1] < 0x80 && s[n - 1] != '?');
}

/* The terms of a follow-up but for the word that points back. */
static enum rag_status own_terms(const char *follow_up, const struct analyzer *analyzer,
                                 struct term_list *ret)
{
    struct follow_up f;
    enum rag_status status = read_follow_up(follow_up, analyzer, &f);
    struct buf rest;

    buf_init(&rest, GROUNDING_PROMPT_BYTES_MAX);
    if (status == RAG_OK) {
        append_rest(&f, NULL, &rest);
        status = buf_status(&rest);
    }
    if (status == RAG_OK)
        status = analyzer_question(analyzer, buf_str(&rest), rest.len, ret);
    buf_release(&rest);
    return status;
}

/* Is the line a question of these turns? */
static enum rag_status judge(const char *line, size_t n, const char *follow_up,
                             const struct buf *turns, const struct analyzer *analyzer, bool *ret)
{
    struct term_list made = {0};
    struct term_list own = {0};
    struct term_list known = {0};
    enum rag_status status = analyzer_question(analyzer, line, n, &made);

    if (status == RAG_OK)
        status = own_terms(follow_up, analyzer, &own);
    if (status == RAG_OK)
        status = analyzer_passage(analyzer, buf_str(turns), turns->len, &known);
    if (status == RAG_OK)
        *ret = made.n > 0 && common_weight(&made, &known) >= FROM_TURNS_MIN &&
               common_weight(&own, &made) >= OWN_KEPT_MIN &&
               values_kept(line, n, buf_str(turns), turns->len) &&
               values_kept(follow_up, strlen(follow_up), line, n);
    term_list_release(&made);
    term_list_release(&own);
    term_list_release(&known);
    return status;
}

enum rag_status condensed_question(const struct message *messages, size_t n,
                                   const struct analyzer *analyzer, const char *answer,
                                   size_t n_answer, struct buf *ret, struct rag_error *reterr)
{
    enum rag_status status = RAG_OK;
    const char *line;
    bool good = false;
    size_t n_line;
    struct buf turns;

    find_line(answer, n_answer, &line, &n_line);
    if (n_line == 0 || n_line > CONDENSED_BYTES_MAX || !utf8_valid(line, n_line, NULL) ||
        is_statement(line, n_line))
        return rag_fail(reterr, RAG_EFORMAT, "question: the model wrote %zu bytes that are none",
                        n_answer);
    buf_init(&turns, GROUNDING_PROMPT_BYTES_MAX);
    for (size_t i = 0; i < n; i++) {
        buf_append_str(&turns, messages[i].text);
        buf_append_char(&turns, '\n');
    }
    status = buf_status(&turns);
    if (status == RAG_OK)
        status = judge(line, n_line, messages[n - 1].text, &turns, analyzer, &good);
    buf_release(&turns);
    if (status != RAG_OK)
        return rag_fail(reterr, status, "question: %s",
                        status == RAG_ENOMEM ? "out of memory" : "its turns are too long");
    if (!good)
        return rag_fail(reterr, RAG_EFORMAT,
                        "question: the model's has other names or words than the conversation");
    buf_reset(ret);
    buf_append(ret, line, n_line);
    return buf_status(ret);
}
