#include <string.h>

#include "daemon/ragctl/ragctl.h"

/* The texts say what etc/man/ragctl.1 says, shorter. */

/* clang-format off */
static const char ingest_help[] =
    "Reads files and folders (recursively, in order of name) into a collection,\n"
    "which is created when missing. Suffixes: .txt .text .md .markdown .html .htm\n"
    ".json (one record) .ndjson .jsonl (a record per line:\n"
    "{\"id\",\"text\",\"title\",\"metadata\"}). Hidden and other files are skipped and\n"
    "counted. A document is named by its path below the folder given, a single file\n"
    "by its base name; the same content again is \"unchanged\" and costs nothing. Text\n"
    "in CP949 (EUC-KR) or UTF-16 is converted, with a note. A busy daemon is waited\n"
    "for. A file that fails is named with the reason, and the others go on.\n"
    "\n"
    "  --prefix TEXT         put before every document name (\"hr/\")\n"
    "  --name NAME           name of the one file given; '-', standard input, needs\n"
    "                        it\n"
    "  --type TYPE           Content-Type of the files given by themselves\n"
    "  --metadata KEY=TEXT   for every document; may be repeated. KEY:=JSON gives\n"
    "                        numbers, booleans and arrays: --metadata year:=2024\n"
    "  --metadata-file FILE  a JSON object, the same\n"
    "  --jobs N              requests at a time (1..32, default 2)\n"
    "  --delete-missing      afterwards delete the documents under --prefix that are\n"
    "                        in none of the folders given (needs --yes when that is\n"
    "                        more than half of them and more than 20)\n"
    "  --no-create           fail when there is no such collection\n"
    "  --no-wait             do not wait for the vectors: until the daemon has made\n"
    "                        them, what is new is found by its words only\n"
    "  --dry-run             only list what would be sent\n"
    "\n"
    "Exit status: 0, or 1 when any file failed.\n"
    "JSON: {\"collection\",\"created\",\"documents\",\"unchanged\",\"failed\",\"deleted\",\n"
    "\"chunks\",\"files\",\"hidden\",\"unsupported\",\"converted\",\"vectors_pending\",\n"
    "\"bytes\",\"elapsed_s\",\n"
    "\"errors\":[{\"path\",\"document\",\"line\",\"message\"}]}\n";

static const char search_help[] =
    "Prints the passages that words and vectors find, best first.\n"
    "\n"
    "  --top-k N         how many (1..1000, default: the daemon's, 5)\n"
    "  --where KEY=TEXT  only documents whose metadata has that; may be repeated\n"
    "  --filter JSON     the general form: {\"year\":{\"gte\":2020},\"dept\":[\"hr\",\"it\"]}\n"
    "  --full            whole passages instead of their beginning\n"
    "  --stages          rank and score of each passage in each stage as a table;\n"
    "                    with --json: the ranking of each stage as well\n"
    "  --mode MODE       auto (default), hybrid, bm25 or dense\n"
    "  --fusion JSON     of this search: {\"method\":\"rrf\",\"weight_dense\":0.5}\n"
    "  --no-rerank       leave the order as it was fused\n"
    "\n"
    "Put -- before words that begin with a dash.\n"
    "JSON: {\"results\":[{\"rank\",\"document\",\"chunk\",\"score\",\"title\",\"heading\",\n"
    "\"text\",\"byte_start\",\"byte_end\",\"bm25_rank\",\"bm25_score\",\"dense_rank\",\n"
    "\"dense_score\",\"fused_rank\",\"fused_score\",\"rerank_rank\",\"rerank_score\"}],\n"
    "\"mode\",\"fusion\",\"reranker\",\"degraded\",\"candidates\",\"stages_ms\",\n"
    "\"request_id\"}\n";

static const char ask_help[] =
    "Answers a question from the documents of a collection, with citations: [n] in\n"
    "the answer is explained below it by the document, its heading and the text\n"
    "cited. When the documents do not answer it, says so and why, and names the\n"
    "passages that come nearest. On a terminal sentences appear as they are ready.\n"
    "\n"
    "  --top-k N              passages to answer from (1..50)\n"
    "  --where, --filter      as in search\n"
    "  --backend NAME         who answers: local (a model), openai (the server of\n"
    "                         [openai]) or extractive (sentences of the passages);\n"
    "                         else as ragd.conf says\n"
    "  --no-cache             answer it anew, though it was asked before\n"
    "  --stream, --no-stream  whether sentences appear one by one, terminal or not\n"
    "\n"
    "Exit status: 0 answered, 3 refused, 1 failed.\n"
    "JSON: {\"answer\",\"refused\",\"reason\",\"citations\":[{\"n\",\"document\",\"chunk\",\n"
    "\"byte_start\",\"byte_end\",\"text\"}],\"backend\",\"cache\",\"request_id\",\n"
    "\"stages_ms\"}, and of a refusal \"nearest\":[{\"document\",\"byte_start\",\n"
    "\"byte_end\",\"score\",\"by\",\"snippet\",\"snippet_start\",\"snippet_end\"}]\n";

static const char chat_help[] =
    "Reads questions from standard input, one per line, and answers each as 'ask'\n"
    "does, with the last 10 questions and answers as context. A follow-up (\"and\n"
    "until when?\") is completed and shown as it was understood; below an answer\n"
    "stand its sources, who wrote it, and what was left out. On a terminal Ctrl-C\n"
    "ends the answer that is being written, a second one the chat. Works in a pipe;\n"
    "--json prints one object per line.\n"
    "\n"
    "  /new              forget what was said so far\n"
    "  /sources          the sources of the last answer, at length\n"
    "  /help             this list\n"
    "  /quit             end, as the end of input (Ctrl-D) does\n"
    "\n"
    "  --top-k, --where, --filter, --backend, --no-stream  as in ask\n"
    "  --quiet           answers and sources alone\n";

static const char collection_help[] =
    "  list              the collections that you may read\n"
    "  show NAME         its settings and sizes\n"
    "  create NAME       make it; you are its reader and writer unless you say\n"
    "                    otherwise\n"
    "  set NAME          change what the options name, keep the rest\n"
    "  delete NAME       with every document in it; needs --yes\n"
    "  check NAME        compare its index with the store (reads everything)\n"
    "\n"
    "  --readers LIST    who may search and ask: uid:1000,token:web or * for\n"
    "                    everybody who may connect\n"
    "  --writers LIST    who may change documents and settings\n"
    "  --offline yes|no  its text never leaves this machine\n"
    "  --backends LIST   who answers, in this order: local,openai,extractive;\n"
    "                    empty: as the daemon is configured\n"
    "  --chunk-chars N   characters of a chunk (100..8000); for documents ingested\n"
    "                    from then on\n"
    "  --chunk-overlap N  characters that neighbours share (less than half a chunk)\n"
    "  --fusion JSON     how BM25 and vectors are joined: {\"method\":\"scaled\",\n"
    "                    \"weight_dense\":0.4}; {} is the daemon's way again\n"
    "  --lexical JSON    weights of the rerank by words: {\"sentence\":1}; {} is the\n"
    "                    default again\n"
    "  --rerank JSON     what words count beside a cross-encoder: {\"words\":0.3};\n"
    "                    {} is the daemon's way again\n"
    "  --gate JSON       when a question is refused: {\"relevance_min\":0.3}; {} is\n"
    "                    the daemon's way again\n";

static const char document_help[] =
    "  list              names, chunks, sizes, times, titles\n"
    "  get NAME          what is stored about it and its text\n"
    "  delete NAME...    from the store and every index\n"
    "\n"
    "  --prefix TEXT     list: only names that begin so\n"
    "  --limit N         list: at most so many\n"
    "  --text            get: exactly the stored text, in whose bytes citations\n"
    "                    count\n"
    "  --ignore-missing  delete: a name that is not there is no failure\n";

static const char cache_help[] =
    "  stats             how many there are, how often they were given, what it\n"
    "                    saved, and how similar a question has to be in each\n"
    "                    collection\n"
    "  list              those that you may be given, the one used last first\n"
    "  clear             forget them: of a collection (who may write it), or all\n"
    "                    (administrators)\n"
    "  feedback ENTRY    say whether the answer of a hit fits its question; ENTRY is\n"
    "                    the number in \"cached_from\" of the reply\n"
    "\n"
    "  --right, --wrong  feedback: it fits, or does not; a wrong one is not given to\n"
    "                    such a question again, and if there are many such reports,\n"
    "                    questions must be more similar\n"
    "  --request ID      feedback: the request that got the answer, not ENTRY\n"
    "  --similarity X    feedback: of the hit meant, where ENTRY had several\n"
    "                    (administrators)\n"
    "  --limit N         list: at most so many (default 50)\n"
    "  --yes             clear: every collection\n"
    "\n"
    "JSON: stats, list {\"enabled\",\"stats\",\"collections\":[{\"name\",\"threshold\"}],\n"
    "\"entries\":[{\"entry\",\"collection\",\"question\",\"refused\",\"documents\",\"bytes\",\n"
    "\"created\",\"used\",\"exact_hits\",\"semantic_hits\",\"threshold\",\"cost_ms\"}]},\n"
    "clear {\"collection\",\"removed\"}, feedback {\"entry\",\"collection\",\"kind\",\n"
    "\"similarity\",\"correct\",\"threshold\"}\n";

static const char audit_help[] =
    "  list              the newest rows (50), yours or, for administrators, all\n"
    "  show SEQ          one row with its payload; or by the id of its request\n"
    "  export            every row, oldest first, one a line: JSON that can be\n"
    "                    verified by itself, or CSV for spreadsheets\n"
    "  verify            check the whole chain; exit status 1 when it is broken\n"
    "  prune             cut old rows off, behind a signed checkpoint\n"
    "  replay ID         ask the question of a row again, with today's documents and\n"
    "                    settings and without the cache: what is another now\n"
    "  erase SEQ         drop a row's payload on lawful request; needs --why\n"
    "\n"
    "  --kind KIND       ask, document.put, document.delete, collection.create ...\n"
    "  --principal WHO   uid:1000 or token:NAME\n"
    "  --since, --until  2026-01-31, 2026-01-31T09:30 (UTC) or 24h, 7d\n"
    "  --limit N         rows\n"
    "  --after SEQ       list, export: oldest first from there\n"
    "  --format jsonl|csv  export (default jsonl)\n"
    "  --out FILE        export: into a new file; --output too\n"
    "  --bom             export: mark CSV as UTF-8 for Excel\n"
    "  --file FILE       verify: an export instead of the log, without a daemon\n"
    "  --head N:HEX|FILE  verify: also that the log still reaches this head, which\n"
    "                     finds a dropped tail; FILE may be a copy of audit.head or\n"
    "                     a saved --json\n"
    "  --public-key HEX|FILE  verify: the key that must have signed the cut: a copy\n"
    "                     of audit.pub that was kept elsewhere\n"
    "  --keep-days N     prune: what is older goes\n"
    "  --before TIME     prune: or what is older than that\n"
    "  --dry-run         prune: only say how many rows\n"
    "  --why TEXT        erase, prune: stays in the log\n"
    "\n"
    "Keep the head that verify prints on another machine.\n";

static const char mcp_help[] =
    "Serves search, ask and documents to a Model Context Protocol client over\n"
    "standard input and output, until its input ends. Revisions 2025-06-18,\n"
    "2025-03-26 and 2024-11-05. Tools: search, ask, list_collections,\n"
    "list_documents, get_document; documents are resources too,\n"
    "ragd://COLLECTION/DOCUMENT. Acts as the user that runs it: collections that may\n"
    "not be read are not there.\n"
    "\n"
    "  --write           also put_document and delete_document\n"
    "  --collection C    of calls that name none; resources are those of C alone\n"
    "\n"
    "In the settings of a client: {\"command\":\"ragctl\",\"args\":[\"mcp\"]}\n";

static const char backup_help[] =
    "Writes a consistent copy of the running daemon's databases into DIR, a folder\n"
    "that is empty or does not exist, in the daemon's view of the file system.\n"
    "Readers and writers go on meanwhile. Only administrators may.\n";

static const char restore_help[] =
    "Checks every file of a backup against its manifest and copies it into a folder\n"
    "that holds no state. No daemon may run there. Works without any daemon.\n"
    "\n"
    "  --state DIR       where to; then start ragd --state DIR\n"
    "  --check           only check the backup\n";

static const char status_help[] =
    "Is it there, is it ready, and how much does it hold. Exit status 1 when it is\n"
    "not.\n"
    "  --wait S   until it is ready, at most S seconds (0 to 3600; 0)\n"
    "JSON: {\"version\",\"ready\",\"collections\",\"documents\",\"chunks\"}\n";

static const char doctor_help[] =
    "Checks this machine (kernels, clock), the socket and its mode, the daemon and\n"
    "its version, readiness, limits, models, each index against the store, the audit\n"
    "chain; each line ok, warn or FAIL, with what to do. /etc/ragd/ragd.conf is\n"
    "looked at where it is and no other socket is named.\n"
    "\n"
    "  --config FILE     the configuration, by the ragd beside this ragctl, and the\n"
    "                    modes of the files that it names, licences of models, URLs\n"
    "  --state DIR       the state folder (default: the configuration's): owner and\n"
    "                    modes of its files, free space and inodes\n"
    "  --online          also ask the servers of [openai] and [trace]; nothing of\n"
    "                    yours is sent\n"
    "\n"
    "Exit status 1 when anything failed.\n"
    "JSON: {\"checks\":[{\"check\",\"result\",\"message\"}],\"warnings\",\"failures\"}\n";

static const char metrics_help[] =
    "Prints the daemon's counters and latency histograms in the Prometheus text\n"
    "format.\n";

static const char top_help[] =
    "Shows what the daemon does right now, every two seconds: requests and errors a\n"
    "second, how long each stage takes, cache hits, queues, the decoder, and the\n"
    "requests in flight with their stage and age (of others only to administrators).\n"
    "q or Ctrl-C ends it. In a pipe frames follow each other.\n"
    "\n"
    "  --interval S      seconds between frames (1..3600, default 2)\n"
    "  --once            one frame, measured for the interval (default 1); with\n"
    "                    --interval 0: since the daemon's start\n"
    "\n"
    "JSON: a line each frame: {\"interval_s\",\"uptime_s\",\"requests_per_s\",\n"
    "\"errors_per_s\",\"cache_hit_rate\",\"workers_busy\",\"queued_answer\",\n"
    "\"decoder_running\",...,\"stages\":[{\"stage\",\"per_s\",\"p50_ms\",\"p95_ms\"}],\n"
    "\"requests\":[...]}; null: there is no such figure\n";

static const char version_help[] =
    "Prints the version of ragctl.\n";

static const char eval_help[] =
    "Reads KLUE-MRC v1.1 or SQuAD/KorQuAD 1.0 JSON, a question set (JSONL beside\n"
    "its documents, or its folder) or a TREC collection (a folder or three files),\n"
    "indexes the passages in a throw-away collection, asks every question and prints\n"
    "hit@k, MRR, nDCG of each stage side by side, answer EM and F1, citation\n"
    "accuracy, refusal precision and recall, and latencies. Starts a private ragd of\n"
    "its own unless --socket is given.\n"
    "\n"
    "  --sample N          so many questions, chosen as NumPy does with\n"
    "                      default_rng(seed).permutation\n"
    "  --seed N            of that choice (default 42)\n"
    "  --protocol book     count a hit when the retrieved text equals the context\n"
    "  --distractors FILE  add passages (JSONL, also .zst)\n"
    "  --report FILE       a self-contained HTML report with plots\n"
    "  --titles            give the passages their article's title\n"
    "  --chunk-chars N     cut the passages (default: whole)\n"
    "  --off-topic IDS     which unanswerable questions of a set are off its topic\n"
    "  --no-answers        measure retrieval only\n"
    "  --embedder DIR      models of the private ragd: a folder, builtin:NAME,\n"
    "  --reranker DIR      default or none; not given: the daemon's default\n"
    "  --config FILE       or its whole configuration\n"
    "  --mode, --fusion    of the searches, as in search\n"
    "\n"
    "JSON: {\"questions\",\"passages\",\"stages\",\"answers\",\"refusal\",\"latency_ms\",\n"
    "\"fusion\" where lists were fused}\n"
    "\n"
    "eval cache FILE: how often the semantic cache would answer, and how often\n"
    "wrongly, on pairs of questions (JSONL: \"a\", \"b\" and \"equivalent\" or\n"
    "\"score0_5\"; or a question set with \"of\"). No daemon is needed.\n"
    "\n"
    "  --embedder DIR      compare by this encoder (default: TF-IDF)\n"
    "  --reranker DIR      and have pairs confirmed by this cross-encoder\n"
    "  --error X           false-hit rate that the threshold is chosen for (0.01)\n"
    "  --threshold X       measure this one instead\n"
    "  --answer-ms N       what making an answer takes, to say what is saved\n"
    "  --report FILE       an HTML report with the curve\n"
    "  --details FILE      every pair with its similarity and verdict (JSONL)\n"
    "  --seed N            of the halves: chosen on one, measured on the other\n"
    "\n"
    "JSON: {\"pairs\",\"thresholds\",\"chosen\",\n"
    "\"fixed_threshold_hit_rate_at_same_error\", ...}\n";

static const char tune_help[] =
    "Learns from the collection's own documents, and installs what is better beyond\n"
    "chance (docs/TUNING.md):\n"
    "  adapter           a linear map of questions' vectors\n"
    "  fusion            how BM25 and vectors are joined\n"
    "  lexical           the weights of the rerank by words\n"
    "  rerank            the share of the words beside a cross-encoder, and whether\n"
    "                    it helps\n"
    "  gate              from where on a question is refused\n"
    "  all               these in this order (the default)\n"
    "Questions are made of its titles, headings and sentences, each taken out of the\n"
    "passage that has to be found, in a throw-away collection that is embedded anew.\n"
    "Half of the documents learn, the others measure: before, after, and the paired\n"
    "difference with its 95% interval.\n"
    "\n"
    "  --questions N     at most so many (80..5000, default 2000)\n"
    "  --passages N      a sample of so many chunks is searched (default 3000); each\n"
    "                    is embedded\n"
    "  --false-refusals X  share of answered questions that the gate may find too\n"
    "                    little relevant (0..0.5, default 0.05)\n"
    "  --minutes N       end after so long (default 30)\n"
    "  --seed N          of the sample, the questions and the halves (default 42)\n"
    "  --dry-run         only measure\n"
    "  --reset           take the part (or all) back to what the daemon has\n"
    "\n"
    "Exit status: 0 measured, installed or not; 1 failed; 2 usage.\n"
    "JSON: {\"tune\",\"collection\",\"seed\",\"questions\",\"parts\":[{\"part\",\"before\",\n"
    "\"after\",\"difference\",\"found\",\"better\",\"installed\",\"verdict\"}], ...}\n";

static const char export_help[] =
    "pairs: writes training data made of the collection's own titles, headings and\n"
    "sentences as JSON lines in the convention of sentence-transformers:\n"
    "{\"anchor\",\"positive\",\"negative\"}. Negatives are passages of other documents\n"
    "that the current retriever ranks high, but below 95% of the positive's score.\n"
    "Train an encoder on them with the usual tools and load the result as a model.\n"
    "\n"
    "  --output FILE     a new file (default: standard output)\n"
    "  --pairs N         at most so many (default 10000)\n"
    "  --negatives N     of each pair (0..16, default 1; \"negative_1\" ... when more)\n"
    "  --seed N          of the sample (default 42)\n"
    "\n"
    "JSON, with --output: {\"collection\",\"output\",\"pairs\",\"without_negatives\",\n"
    "\"chunks\"}\n";

static const char guard_help[] =
    "No daemon is needed.\n"
    "\n"
    "  check TEXT              what the policy makes of a text; '-': standard input.\n"
    "                          Rules that need a model are 'unchecked' here\n"
    "  eval FILE               how well personal data is found, from lines of\n"
    "                          {\"text\",\"pii\":[{\"kind\",\"start\",\"end\"}]}\n"
    "  train FILE --out FILE   a classifier for a rule of the guard, from lines of\n"
    "                          {\"text\",\"label\"}: true or \"deny\" is what it shall\n"
    "                          find, false or \"allow\" what it shall not. A fifth is\n"
    "                          held out for the figures; the file then is of all\n"
    "\n"
    "  --policy FILE     check: a policy (JSON); without one personal data is masked\n"
    "                    (instructions to a model are flagged, an answer that\n"
    "                    repeats the system prompt is refused)\n"
    "  --stage STAGE     check: question (default), passage, answer or document\n"
    "  --collection C    check: only rules that hold for it\n"
    "  --question TEXT, --system-prompt TEXT\n"
    "                    check: of an answer, what it was asked and told\n"
    "  --show N          eval: the first N mistakes, on standard error\n"
    "  --out FILE        train: where to\n"
    "  --embedder DIR    train: over this model's vectors instead of n-grams; the\n"
    "                    guard then needs the same embedder\n"
    "  --seed N          train: of the order and of what is held out (42)\n"
    "  --threads N       train: for the embedder (the cores)\n"
    "\n"
    "Exit status of check: 0 passed, flagged or masked, 3 refused or dropped.\n"
    "JSON: check {\"verdict\",\"findings\":[{\"rule\",\"start\",\"end\",\"detail\",\n"
    "\"action\",\"score\"}],\"masked\",\"reason\",\"truncated\"}, eval {\"sentences\",\n"
    "\"with\",\"without\",\"kinds\":{KIND:{\"n\",\"found\",\"recall\",\"reported\",\n"
    "\"precision\"}}}, train {\"file\",\"examples\",\"deny\",\"allow\",\"embedder\",\n"
    "\"dim\",\"held_out\",\"precision\",\"recall\",\"f1\",\"auc\",\"train_ms\"}\n";

static const char model_help[] =
    "Models are folders as Hugging Face has them: config.json, tokenizer.json (or\n"
    "tokenizer.model, vocab.txt), *.safetensors; a decoder may be one GGUF file.\n"
    "No daemon is needed; only pull uses the network.\n"
    "\n"
    "  list                     the models of a folder: family, size, licence; and\n"
    "                           those that come with ragd, builtin:NAME, which may\n"
    "                           stand for DIR everywhere\n"
    "  check DIR                load it in int8 and fp32, compare 64 sentences, and\n"
    "                           say which layers stay in fp32; of a decoder (a GGUF\n"
    "                           file too): sizes, types, memory, chat template\n"
    "  pack DIR OUT             write an encoder with its weights as int8, which is\n"
    "                           what the daemon computes with: half the size, and\n"
    "                           opened in a fraction of the time\n"
    "  pull NAME[@REVISION]     fetch one from a hub: resumed where it broke off,\n"
    "                           checked by SHA-256; $HF_ENDPOINT (default\n"
    "                           https://huggingface.co) and $HF_TOKEN are honoured;\n"
    "                           --file NAME.gguf: which one of a repository of them\n"
    "  embed DIR TEXT...        unit vectors\n"
    "  tokenize MODEL TEXT...   token ids; MODEL: a folder or a GGUF file\n"
    "  score DIR QUERY PASSAGE...  how well each passage answers, 0..1\n"
    "  generate MODEL --prompt TEXT   what the model writes behind TEXT\n"
    "  logits MODEL --ids IDS   its scores of every token behind each of these\n"
    "\n"
    "  --models-dir DIR      list, pull: where models are (/var/lib/ragd/models)\n"
    "  --file JSONL          embed, tokenize, score: a \"text\" a line, and maybe a\n"
    "                        \"pair\" (score: query and passage), in place of words\n"
    "  --precision P         embed, score: fp32 (default here) or int8; generate,\n"
    "                        logits: fp32 (default of weights that are\n"
    "                        floats), int8 (of others) or int4\n"
    "  --max-length N        tokens that longer texts are cut to\n"
    "  --threads N           that compute (default: the cores)\n"
    "  --role R              embed: plain (default), query or passage, which put the\n"
    "                        model's prompt before the text\n"
    "  --pooling P           embed: mean, cls or max, whatever the model's files say\n"
    "  --dim N               embed: the first N numbers only (Matryoshka)\n"
    "  --no-special          tokenize: no [CLS], [SEP], <s> ...\n"
    "  --pair TEXT           tokenize: the second text of a pair\n"
    "  --raw                 score: logits\n"
    "  --ids 1,2,3           generate, logits: token ids, taken as they are\n"
    "  --chat                generate: the prompt is a message; the model's template\n"
    "                        goes around it (--chat-template NAME: another)\n"
    "  --max-new-tokens N    generate: at most (default 256)\n"
    "  --temperature T --top-k N --top-p P --min-p P --repetition-penalty R --seed N\n"
    "                        generate: how tokens are drawn; temperature 0 (default)\n"
    "                        takes the likeliest\n"
    "  --stop TEXT           generate: ends there; may be given several times\n"
    "  --ignore-eos          generate: an end token does not end it\n"
    "\n"
    "JSON: embed {\"dim\",\"embeddings\":[[...]]}, tokenize {\"ids\":[[...]]}, score\n"
    "{\"scores\":[...]}, list {\"models\":[...]}, check {\"int8_good\",\"layers\":[...]},\n"
    "pack {\"dir\",\"bytes\",\"source_bytes\",\"layers\",\"fp32_layers\",\n"
    "\"fingerprint\"}, pull {\"name\",\"dir\",\"commit\",\"licence\",\n"
    "\"files\":[...]}, generate\n"
    "{\"prompt_ids\",\"ids\",\"text\",\"prefill_tokens_per_s\",\"decode_tokens_per_s\"},\n"
    "logits {\"logits\":[[...]]}\n";

static const struct ragctl_command table[] = {
    {"ingest", "ingest --collection C [options] PATH...",
     "read files and folders into a collection", ingest_help, true, ragctl_ingest},
    {"search", "search --collection C [options] QUERY", "find passages", search_help, true,
     ragctl_search},
    {"ask", "ask --collection C [options] QUESTION", "answer a question with citations",
     ask_help, true, ragctl_ask},
    {"chat", "chat --collection C [options]", "answer questions from standard input", chat_help,
     true, ragctl_chat},
    {"collection", "collection list|show|create|set|delete|check [NAME] [options]",
     "collections and who may use them", collection_help, false, ragctl_collection},
    {"document", "document list|get|delete --collection C [NAME...] [options]",
     "documents of a collection", document_help, true, ragctl_document},
    {"audit", "audit list|show|export|verify|prune|erase|replay [ID] [options]",
     "who did and asked what, tamper-evident", audit_help, false, ragctl_audit},
    {"cache", "cache stats|list|clear|feedback [ENTRY] [options]",
     "answers that are kept and given again", cache_help, false, ragctl_cache},
    {"mcp", "mcp [--write] [--collection C]", "serve an MCP client over standard input",
     mcp_help, false, ragctl_mcp},
    {"backup", "backup DIR", "copy a running daemon's state", backup_help, false, ragctl_backup},
    {"restore", "restore DIR --state DIR | restore DIR --check", "bring a backup back",
     restore_help, false, ragctl_restore},
    {"eval", "eval [cache] FILE|FOLDER [options]", "measure retrieval and answers on a question set", eval_help,
     false, ragctl_eval},
    {"tune", "tune [adapter|fusion|lexical|rerank|gate|all] --collection C [options]",
     "learn from the collection's own documents", tune_help, true, ragctl_tune},
    {"export", "export pairs --collection C [options]", "training pairs for an encoder",
     export_help, true, ragctl_export},
    {"guard", "guard check TEXT | guard eval FILE | guard train FILE --out FILE",
     "rules that validate questions and answers", guard_help, false, ragctl_guard},
    {"model", "model list|check|pack|pull|embed|tokenize|score|generate|logits [DIR] [options] [TEXT]",
     "models: fetch, check, and use without a daemon", model_help, false, ragctl_model},
    {"status", "status [--wait S]", "is ragd there and ready", status_help, false, ragctl_status},
    {"doctor", "doctor [--state DIR] [--config FILE] [--online]", "find out what is wrong",
     doctor_help, false, ragctl_doctor},
    {"top", "top [--once] [--interval S]", "what the daemon does right now", top_help, false,
     ragctl_top},
    {"metrics", "metrics", "counters for Prometheus", metrics_help, false, ragctl_metrics},
    {"version", "version", "print the version", version_help, false, ragctl_version},
    {0},
};
/* clang-format on */

const struct ragctl_command *ragctl_command_table(void)
{
    return table;
}

const struct ragctl_command *ragctl_command_find(const char *name)
{
    for (const struct ragctl_command *c = table; c->name; c++) {
        if (strcmp(c->name, name) == 0)
            return c;
    }
    return NULL;
}
