/* base/bounds.h - every limit of the project, with its reason.
 *
 * A limit named *_DEFAULT can be changed in ragd.conf; the others are fixed.
 * Sizes are bytes unless the name says otherwise. */
#ifndef RAG_BASE_BOUNDS_H
#define RAG_BASE_BOUNDS_H

/* ---- names ---- */
#define COLLECTION_NAME_BYTES_MAX 64   /* [a-z0-9][a-z0-9_-]*: it is part of URLs and file names */
#define DOCUMENT_NAME_BYTES_MAX   1024 /* a path or URI; longer ones are not typed by people */
#define PRINCIPAL_BYTES_MAX       128  /* "uid:4294967294" or "token:name" */
#define PRINCIPALS_MAX            256  /* readers or writers of one collection */

/* ---- documents ---- */
#define BODY_BYTES_MAX_DEFAULT   (64u << 20) /* one request body; a 64 MiB text is 20,000 pages */
#define DOCUMENT_BYTES_MAX       (64u << 20) /* one document's text; spans are 32-bit with room */
#define METADATA_BYTES_MAX       16384       /* JSON of one document */
#define METADATA_KEYS_MAX        64
#define METADATA_VALUE_BYTES_MAX 1024
#define TITLE_BYTES_MAX          1024         /* longer titles are cut at a grapheme */
#define HEADING_PATH_BYTES_MAX   2048         /* joined by " > "; cut from the left */
#define HEADING_DEPTH_MAX        6            /* as HTML and Markdown */
#define HTML_DEPTH_MAX           512          /* deeper trees are a stack attack, not a page */
#define HTML_TREE_BYTES_MAX      (512u << 20) /* of the parse tree: 10 times an ordinary page */
#define HTML_CPU_MS_BASE         2000         /* for a parse: gumbo is O(n * depth); and per MiB: */
#define HTML_CPU_MS_PER_MIB      250          /* six times what an ordinary page takes */
#define HTML_ATTRIBUTE_BYTES_MAX 256          /* of a style that is read for display: none */
#define HTML_SPAN_COLUMNS_MAX    64   /* of a table whose cells over several rows are repeated */
#define HTML_SPAN_ROWS_MAX       1000 /* rows of one cell */
#define HTML_SPAN_BYTES_MAX      120  /* of a repeated cell; a longer one is prose, said once */
#define BLOCKS_PER_DOCUMENT_MAX  (1u << 22) /* paragraphs, items, rows: 16 bytes each at 64 MiB */
#define FRONT_MATTER_LINES_MAX   200     /* of a Markdown file; longer ones are no front matter */
#define MARKDOWN_EMPTY_CELLS_MAX 1000000 /* beyond what a table's bytes explain */
#define TEXT_HEADINGS_MAX        65536   /* candidates looked at in one plain text */

/* ---- chunks (characters = Unicode code points) ---- */
#define CHUNK_CHARS_DEFAULT     700 /* about 10 Korean sentences; KLUE contexts are 500-2000 */
#define CHUNK_CHARS_MIN         100
#define CHUNK_CHARS_MAX         8000
#define CHUNK_OVERLAP_DEFAULT   80 /* one sentence, so that a pronoun keeps its noun */
#define CHUNKS_PER_DOCUMENT_MAX (1u << 20)
#define CHUNK_CONTEXT_BYTES_MAX 1024 /* a table's header rows, repeated; longer ones are cut */
#define CHUNK_LABEL_BYTES_MAX   (256u << 20) /* all headings and contexts of one document */
#define STAGE_SLICE_CHUNKS      512 /* chunks per staging transaction: bounds a writer's wait */

/* ---- writing ---- */
#define STAGE_SLICE_BYTES      (1u << 20)   /* text per staging transaction: about 10 ms */
#define WRITE_GROUP_MAX        256          /* jobs that one failed commit takes along */
#define WRITE_GROUP_MS         20           /* a group takes in no more jobs after this */
#define WRITE_GROUPS_PER_SLICE 16           /* under constant load, then one slice of idle work */
#define AUDIT_CUT_SLICE_ROWS   512          /* rows that retention deletes in one transaction */
#define AUDIT_KEEP_DAYS_MAX    36500        /* a hundred years: more is a typing error */
#define OPEN_CHECK_BYTES_MAX   (256u << 20) /* quick_check at open reads at about 500 MB/s */

/* ---- questions ---- */
#define QUESTION_BYTES_MAX  8192 /* a long e-mail; questions are tens of characters */
#define QUERY_TERMS_MAX     512  /* distinct terms of one question that reach the index */
#define TOP_K_DEFAULT       5
#define TOP_K_MAX           1000
#define RERANK_HEAD_DEFAULT 30 /* candidates that the rerank stage reads */
#define CANDIDATES_MAX      1000
#define PASSAGES_MAX        50  /* passages given to a generator */
#define NEAREST_MAX         3   /* passages that a refusal names: what a person looks through */
#define NEAREST_CHARS_MAX   100 /* shown of each: three lines of a terminal in Hangul */
/* read by the policy to find them, beside what it had read: a judge takes seconds for each */
#define NEAREST_READS_MAX   (3 * NEAREST_MAX)
#define ANSWER_BYTES_MAX    65536
#define CITATIONS_MAX       64
#define FILTER_CLAUSES_MAX  32
#define FILTER_VALUES_MAX   256    /* of one clause: 32 x 256 fit in SQLite's 32,766 parameters */
#define FUSION_WEIGHT_MAX   1000   /* of one list, relative to the other */
#define FUSION_RRF_K_MAX    100000 /* beyond it ranks no longer count */
#define LEXICAL_WEIGHT_MAX  1000   /* of one share of the rerank by words, relative to the others */

/* ---- sampling ---- */
#define SAMPLING_TEMPERATURE_MAX   2.0f  /* as OpenAI has it; beyond it text is noise */
#define SAMPLING_PENALTY_MIN       0.01f /* of repetition; models use 1 to 1.3 */
#define SAMPLING_PENALTY_MAX       10.0f
#define SAMPLING_STOPS_MAX         16
#define SAMPLING_STOP_BYTES_MAX    256
#define PROMPT_LOOKUP_MAX          5     /* tokens that have to occur again; docs/SPEED.md */
#define PROMPT_LOOKUP_MIN          2     /* one alone is too often another place */
#define JSON_SCHEMA_BYTES_MAX      65536 /* text of a schema */
#define JSON_SCHEMA_NODES_MAX      4096
#define JSON_SCHEMA_PROPERTIES_MAX 64   /* of one object: a bit each */
#define JSON_SCHEMA_LITERALS_MAX   4096 /* of one enum, or integers of a range */
#define JSON_SCHEMA_DEPTH_MAX      32   /* of the answer's values */
#define JSON_SCHEMA_THREADS_MAX    16   /* alternatives that begin alike */
#define JSON_SCHEMA_DIGITS_MAX     16   /* of a number, before and behind the point */
#define TOKEN_BYTES_MAX            256 /* of one token; longer ones are never allowed by a schema */

/* ---- grounded answers of a decoder ---- */
#define GROUNDING_PROMPT_BYTES_MAX   (8u << 20) /* PASSAGES_MAX chunks of CHUNK_CHARS_MAX, thrice */
#define GROUNDING_HISTORY_TURNS_MAX  8 /* questions with their answers; older ones say nothing */
#define GROUNDING_HISTORY_BYTES_MAX  24576 /* of them together: passages are worth more */
#define GROUNDING_SENTENCE_BYTES_MAX 4096  /* a model that ends no sentence is cut after a page */
#define GROUNDING_UNITS_MAX          3 /* sentences of the passages that one sentence rests on */
#define GROUNDING_REPEATS_MAX        3 /* of sentences said before: the model runs in a circle */
#define GROUNDING_PAIR_MIN                                                                         \
    0.02f /* a cross-encoder's score below it says "unrelated"; above it the words decide, because \
             such scores are not calibrated */
#define CONDENSE_NEW_TOKENS   96   /* of a standalone question; usual ones have 30 */
#define CONDENSE_MS_MAX       8000 /* of a model for it, and at most a quarter of the deadline */
#define CONDENSE_TURNS_MAX    3    /* earlier questions that it sees */
#define CONDENSE_ANSWER_CHARS 300  /* of an earlier answer: what a pronoun may point at */

/* ---- JSON ---- */
#define JSON_DEPTH_MAX 64 /* recursion of the parser */

/* ---- HTTP ---- */
#define HTTP_HEADER_BYTES_MAX    32768 /* all headers of one request; METADATA_BYTES_MAX twice */
#define HTTP_CONNECTIONS_DEFAULT 1024
#define HTTP_TARGET_BYTES_MAX    8192
#define HTTP_BODY_RATE_MIN                                                                         \
    1024                           /* bytes/s of a body in the long run: a slower client holds     \
                                      its connection and its memory for nothing */
#define JOBS_QUEUED_DEFAULT   256  /* waiting asks and searches; then 503 with Retry-After */
#define INGEST_QUEUED_DEFAULT 16   /* waiting documents: each holds its body in memory */
#define LIVE_LIST_MAX         1000 /* requests in flight that one reply lists, the oldest */
#define INGEST_JOBS_MAX       32   /* parallel requests of one 'ragctl ingest' */

/* ---- ragctl mcp ---- */
#define MCP_LINE_BYTES_MAX     (16u << 20) /* a message: a document that a model wrote, escaped */
#define MCP_QUEUE_MAX          16          /* messages that wait while one is worked on */
#define MCP_BATCH_MAX          64          /* messages of a batch */
#define MCP_PAGE_RESOURCES     100         /* documents of one resources/list */
#define MCP_TEXT_BYTES_DEFAULT 65536       /* of a document in one reply: what a model can read */
#define MCP_TEXT_BYTES_MAX     (4u << 20)

/* ---- servers that we ask (base/http_client.h, base/remote.h, generate/openai.h) ---- */
#define HTTP_RESPONSE_HEADER_BYTES_MAX (256u << 10) /* of a server; libcurl would keep them all */
#define HTTP_CANCEL_LOOK_MS            40 /* a request that nobody wants any more ends within 100 */
#define REMOTE_CONNECTIONS_MAX         8 /* idle ones that are kept: as many as workers ask at once */
#define REMOTE_TRIES_MAX               10 /* of one call; 3 are usual */
#define REMOTE_FAILURES_MAX            5 /* failed calls in a row, then nothing is asked for a while */
#define REMOTE_OPEN_MS                 10000 /* that while, doubled up to */
#define REMOTE_OPEN_MS_MAX             300000 /* five minutes: a server that is back is found again */
#define REMOTE_FAIR_MS                 1500 /* a caller who waited so long may call a server slow */
#define REMOTE_BACKOFF_MS              250  /* the first pause is 0 to this, doubled up to */
#define REMOTE_BACKOFF_MS_MAX          8000
#define REMOTE_RETRY_AFTER_MS_MAX      60000 /* a longer wait keeps a worker for nothing */
#define REMOTE_BUDGET_AHEAD_MAX        16    /* tries written down before they are made */
#define REMOTE_KEY_BYTES_MAX           4096  /* of a key; usual ones have 50 to 200, tokens 2,000 */
#define REMOTE_KEY_RUN_MIN             6 /* bytes of a key that are hidden in what a server says */
#define REMOTE_ERROR_BYTES_MAX         65536 /* of an error's body that are looked at */
#define REMOTE_MESSAGE_BYTES_MAX       240   /* of its message that are told */
#define REMOTE_BATCH_DEFAULT           32 /* texts of one request: TEI takes no more by default */
#define REMOTE_REPLY_BYTES_MAX         (256u << 20) /* 2,048 vectors of 8,192 numbers */
#define REMOTE_NAME_BYTES_MAX          256          /* of a model's name */
#define OPENAI_EVENT_BYTES_MAX         (1u << 20) /* one event of a stream; tokens have 300 bytes */
#define OPENAI_RESPONSE_BYTES_MAX      (32u << 20) /* ANSWER_BYTES_MAX, a byte a token, each 300 */
#define OPENAI_REQUEST_BYTES_MAX       (64u << 20) /* GROUNDING_PROMPT_BYTES_MAX, all of it escaped */
#define OPENAI_STOPS_MAX               4    /* that the API takes; the others are looked for here */
#define OPENAI_RESERVE_MS_MAX          2000 /* of a deadline, for the backend that comes after */

/* ---- traces ---- */
#define TRACE_SPANS_MAX       64          /* of one request: its stages and a few */
#define TRACE_BYTES_MAX       65536       /* of them as JSON; a span has some 500 */
#define TRACE_QUEUE_BYTES_MAX (16u << 20) /* that wait, whatever queue_max says */
#define TRACE_BATCH_SPANS     512         /* as OpenTelemetry's SDKs have it; and so long */
#define TRACE_BATCH_MS        1000        /* at most does a span wait for others */
#define TRACE_TRIES_MAX       3           /* of a batch; meanwhile the queue fills */
#define TRACE_FLUSH_MS        2000        /* at stop, for what waits */
#define TRACE_REPLY_BYTES_MAX 65536       /* of a collector: an empty object, or an error's text */

/* ---- index ---- */
#define BM25_SEGMENTS_MAX      64   /* per index: a search visits each one */
#define BM25_TF_MAX            4095 /* a larger count says no more to BM25 */
#define BM25_PASSAGES_MAX      (1u << 28)
#define BM25_BINDING_BYTES_MAX 4096u /* text that a snapshot is bound to: fingerprints */

/* ---- vectors ---- */
#define VECTORS_MAX              (1u << 26) /* rows of one index, dead ones included: about 60 GB */
#define VECTOR_M_MAX             128   /* links a node; FAISS's graphs stop gaining long before */
#define VECTOR_EF_MAX            65536 /* candidates that a search or an insertion keeps */
#define VECTOR_BUILD_THREADS_MAX 256
#define VECTOR_BINDING_BYTES_MAX 4096u /* text that a snapshot is bound to: a fingerprint */

/* ---- files read by the configuration ---- */
#define USER_DICTIONARY_BYTES_MAX (16u << 20)
#define SYNONYMS_BYTES_MAX        (16u << 20)
#define CONFIG_BYTES_MAX          (1u << 20)
#define ARGUMENTS_BYTES_MAX       (8u << 20) /* of our own command line; Linux allows 6 MiB */

/* ---- models ---- */
#define MAPPED_FILES_MAX         256         /* weights of all loaded models, shards counted */
#define MODEL_PATH_BYTES_MAX     4096        /* as PATH_MAX: directory and file name */
#define MODEL_DIR_ENTRIES_MAX    65536       /* files looked at for *.safetensors */
#define MODEL_CONFIG_BYTES_MAX   (4u << 20)  /* config.json; id2label of 10,000 classes is 300 KB */
#define WEIGHTS_HEADER_BYTES_MAX (8u << 20)  /* 150 bytes a tensor; XLM-R large has 40 KB */
#define WEIGHTS_INDEX_BYTES_MAX  (16u << 20) /* names every tensor and its file */
#define WEIGHTS_TENSORS_MAX      65536       /* of one model; XLM-R large has 391 */
#define WEIGHTS_NAME_BYTES_MAX   256         /* of one tensor; usual ones are under 80 */
#define WEIGHTS_SHARDS_MAX       128         /* files; a 70B model has 30 */
#define ENCODER_LAYERS_MAX       128         /* the largest known encoder (XLM-R XXL) has 48 */
#define ENCODER_HIDDEN_MAX       8192        /* XLM-R XXL: 4096; rows of scratch grow with it */
#define ENCODER_INTERMEDIATE_MAX 32768       /* four times the width */
#define ENCODER_HEADS_MAX        256         /* XLM-R XXL: 32 */
#define ENCODER_VOCAB_MAX        (1u << 22)  /* XLM-R: 250,002; ids are 32-bit with room */
#define ENCODER_POSITIONS_MAX    65536       /* bge-m3: 8194; attention is quadratic in it */
#define ENCODER_TYPES_MAX        256         /* segments; a token's type is one byte */
#define ENCODER_LABELS_MAX       4096        /* of a classification head; rerankers have 1 */
#define ENCODER_INPUTS_MAX       (1u << 20)  /* sequences of one call */
#define ENCODER_RUN_TOKENS_MAX   (1u << 24)  /* of one call; a state is 4 H bytes */
#define ENCODER_WAVE_TOKENS      16384       /* planned at once: bounds what planning costs */
#define ENCODER_JOB_TOKENS       256         /* rows that one thread takes through all layers */
#define ENCODER_JOB_TOKENS_MAX   1024        /* a longer sequence is shared by all threads */
#define ENCODER_BLOCK_ROWS_MIN   32          /* of a shared sequence; fewer do not pay a thread */
#define ENCODER_CACHED_BYTES     (2u << 20)  /* of a layer's weights: what a core's L2 may hold */
#define ENCODER_CACHED_ROWS      64          /* at once through such a layer; docs/SPEED.md */
#define ENCODER_HEAD_ROWS        256         /* classified at once */
#define DECODER_SLICE_ROWS       256        /* that go through all layers together; docs/SPEED.md */
#define DECODER_RUN_TOKENS_MAX   (1u << 20) /* of one call: bounds sums over inputs */
#define CHECK_COSINE_MIN         0.99       /* of int8 to fp32 rows of a layer that stays int8 */
#define CHECK_PROBE_INPUTS       4  /* sequences that an int8 model is tried with at open: */
#define CHECK_PROBE_TOKENS       32 /* of so many random tokens; a second per 100M weights */

/* ---- decoders: GGUF files (nn/gguf.h) and configurations (nn/decoder_config.h) ---- */
#define GGUF_KEYS_MAX            65536       /* models have 20 to 60 */
#define GGUF_KEY_BYTES_MAX       1024        /* of a key; usual ones are under 60 */
#define GGUF_STRING_BYTES_MAX    (16u << 20) /* one text: the longest chat templates have 20 KB */
#define GGUF_STRINGS_MAX         (1u << 22) /* in arrays; Gemma 3: 262,144 tokens, 514,906 merges */
#define GGUF_ALIGNMENT_MAX       (1u << 20) /* of tensors: files have 32, some a page */
#define DECODER_LAYERS_MAX       256        /* Llama 3.1 405B has 126 */
#define DECODER_HIDDEN_MAX       32768      /* likewise 16,384; rows of scratch grow with it */
#define DECODER_HEADS_MAX        512        /* likewise 128 */
#define DECODER_INTERMEDIATE_MAX 131072     /* Llama 3.1 405B: 53,248 */
#define DECODER_VOCAB_MAX        (1u << 21) /* as TOKENIZER_IDS_MAX; Gemma 3: 262,208 */
#define DECODER_CONTEXT_MAX      (1u << 24) /* positions; float32 angles are useless beyond */

/* ---- answers given before ---- */
#define EMBEDDING_CACHE_MAX     65536 /* vectors of questions: 256 MiB at a width of 1,024 */
#define EMBEDDING_CACHE_DEFAULT 512   /* those of the last minutes */

/* ---- validation of one question (daemon/pipeline_guard.c) ---- */
#define GUARD_CLEAN_PLACES (1u << 16) /* chunks known to hold nothing that the policy finds */
#define GUARD_NOTES_MAX    1024       /* findings kept for the record: 50 passages with 20 each */

/* ---- embedding and reranking ---- */
#define MODEL_JSON_BYTES_MAX     (16u << 20) /* config.json and its like; some list 100,000 tokens */
#define MODEL_FILES_MAX          512         /* of one directory: the largest have 200 shards */
#define MODEL_PROMPT_BYTES_MAX   4096        /* goes before every text: longer ones eat the limit */
#define MODEL_DENSE_MAX          4           /* layers behind the pooling; models have 0 or 1 */
#define EMBEDDING_DIM_MAX        8192        /* of an embedding; encoders have 384 to 1,024 */
#define EMBED_WINDOW_TEXTS       1024 /* sorted by length together; bounds the memory for tokens */
#define EMBED_BATCH_TOKENS       4096 /* computed at once: states of 16 MiB at a width of 1,024 */
#define RERANK_GROUP_TOKENS      4096 /* scored at once, likewise */
#define RERANK_GROUP_TOKENS_MIN  512  /* of the first group under a deadline: no speed is known */
#define EMBEDDINGS_INPUTS_MAX    2048 /* of one request, as OpenAI has it */
#define RERANK_DOCUMENTS_MAX     1000 /* of one request, as Cohere has it */
#define MODEL_TEXTS_BYTES_MAX    (32u << 20)  /* of one request: 2,048 chunks of the largest size */
#define MODEL_ARENA_BYTES_MAX    (256u << 20) /* those in NFC, and arrays over them */
#define CROSS_TOKENS_MAX_DEFAULT 512          /* of a pair: what rerankers were trained with */

/* ---- question adapters (embed/question_adapter*.h) ---- */
#define ADAPTER_WEIGHTS_MAX                                                                        \
    (1u << 20)                        /* 1,024 squared: applied in 0.2 ms; wider ones need a rank */
#define ADAPTER_RANK_MAX      256     /* more is no low rank at the widths of encoders */
#define ADAPTER_PAIRS_MIN     40      /* fewer teach nothing that a fifth of them could confirm */
#define ADAPTER_PAIRS_MAX     200000  /* 800 MB of vectors at a width of 1,024 */
#define ADAPTER_PASSAGES_MAX  1000000 /* likewise 4 GB, the caller's */
#define ADAPTER_NEGATIVES_MAX 16      /* of a question: columns of every batch */
#define ADAPTER_RIGHT_MAX     64      /* passages that answer a question beside the right one */
#define ADAPTER_BATCH_MAX     1024    /* with its negatives 17,408 columns: 70 MB of scores */
#define ADAPTER_OTHERS_MAX    8192    /* likewise */
#define ADAPTER_STEPS_MAX     20000   /* 10 minutes at 30 ms a step of a core */
#define ADAPTER_WATCHED_MAX   1000    /* pairs that are ranked at each look; and among: */
#define ADAPTER_COLUMNS_MAX   4096    /* passages: 3 GFLOP a look at a width of 384 */
#define ADAPTER_GAIN_ERRORS   1.64    /* one-sided 5% */

/* ---- taking turns before the models ---- */
#define MODELS_QUEUE_MAX     512 /* waiting requests: more than workers, each holds its texts */
#define MODELS_SLICE_MS      40  /* that a question waits for others; long enough to be efficient */
#define MODELS_SLICE_ITEMS   256 /* texts of a slice, and requests that share one */
#define MODELS_SLICE_TOKENS  8192 /* of a slice, however fast: bounds its memory */
#define MODELS_PREFERRED_MAX 16   /* turns that may pass over somebody who waits */
#define DECODER_BULK_MS      160  /* of layers between two slices of documents: a fifth is theirs */
#define EMBED_BATCH_CHUNKS   256  /* chunks that the background embeds and stores at once */
#define EMBED_LOG_MIN        200  /* chunks: fewer are embedded without a word in the log */
#define EMBED_WAIT_MS_MAX    600000 /* that a request may wait for vectors: it holds a worker */
#define EMBED_RETRY_S        10     /* after a failure of the machine, before the next attempt */

/* ---- ragctl model pull ---- */
#define HUB_NAME_BYTES_MAX    96   /* of one part of a name or path: the hub's own limit */
#define HUB_NAME_DEPTH_MAX    4    /* "2_Dense/model.safetensors" has 2 */
#define HUB_FILES_MAX         4096 /* of a repository; some hold an experiment's checkpoints */
#define HUB_PAGES_MAX         64   /* of its listing, 1,000 files each */
#define HUB_LIST_BYTES_MAX    (16u << 20) /* one answer of the API */
#define HUB_SMALL_BYTES_MAX   (64u << 20) /* any file but weights; the largest tokenizers: 35 MB */
#define HUB_WEIGHTS_BYTES_MAX (64ull << 30) /* of one file of weights */
#define HUB_STALL_S           60            /* without a byte, then the attempt is given up */
#define HUB_REDIRECTS_MAX     5             /* one is usual */
#define HUB_ATTEMPTS_MAX      6   /* in a row without a byte: waits of 250 ms ... 4 s, 8 s in all */
#define HUB_ATTEMPTS_ALL_MAX  200 /* of one file, however little each one brings */
#define HUB_RETRY_AFTER_S_MAX 300 /* longer waits are the person's to decide */

/* ---- many conversations, one decoder ---- */
#define DECODE_RUNNING_MAX       64  /* requests that decode together; logits are kept for each */
#define DECODE_DRAFT_MAX         32  /* tokens verified in one turn: 8 cost as much as about two */
#define DECODE_CHUNK_MAX         512 /* tokens of prompts in one turn: others wait for all of it */
#define DECODE_CHUNK_MIN         32  /* below that weights are read too often for too little */
#define LOCAL_CHUNK_TOKENS       256 /* keeps the kernels busy; a 2.4B model: 40 ms a layer */
#define LOCAL_LAYER_MS           30  /* embeddings and reranks wait for one: 50 ms with its noise */
#define LOCAL_RUNNING_DEFAULT    4
#define LOCAL_WAITING_MAX        256 /* as JOBS_QUEUED_DEFAULT: each has a worker, so it is fewer */
#define LOCAL_KV_BYTES_DEFAULT   (1ull << 30) /* 13,000 tokens of a 2.4B model */
#define LOCAL_CONTEXT_DEFAULT    8192         /* a question with 20 passages has 6,000 tokens */
#define LOCAL_CONTEXT_MIN        256          /* less holds no passage and no answer */
#define CHAT_MESSAGES_MAX        256          /* of one request, all turns so far */
#define CHAT_BYTES_MAX           (1u << 20)   /* of their text: more than a context of 131,072 */
#define CHAT_ARENA_BYTES_MAX     (8u << 20)   /* those in NFC, three times as long at worst */
#define LOCAL_NEW_TOKENS_DEFAULT 512          /* of an answer: a page */

/* ---- cache of answers ---- */
#define CACHE_ENTRIES_MAX      (1u << 20) /* about 4 GB of ordinary answers with their vectors */
#define CACHE_DOCUMENTS_MAX    64         /* that one answer cites: CITATIONS_MAX */
#define CACHE_CANDIDATES_MAX   8          /* similar questions that are confirmed, best first */
#define CACHE_SCAN_SLICE       1024 /* questions compared before another thread may have the lock */
#define CACHE_HITS_REMEMBERED  1024 /* whose request may be named by feedback */
#define CACHE_WRITES_MAX       4096 /* waiting for cache.db; then entries stay in memory only */
#define CACHE_WRITES_BYTES_MAX (16u << 20)
#define CACHE_WRITE_RETRY_S    5           /* after a failure of the disk */
#define CACHE_ROW_BYTES_MAX    (16u << 20) /* of one entry as it is stored */
#define CACHE_OBSERVATIONS_MAX                                                                     \
    1024                       /* reports that a threshold is learned from: 1% is seen in 300 */
#define CONFIRM_BYTES_MAX 2048 /* of a question that may be given another's answer; longer */
#define CONFIRM_WORDS_MAX 96   /* ones say too much for rules, and comparing is O(words^2) */
#define CONFIRM_TERMS_MAX 1024 /* of the analyzer; a word has 2 to 10 */
#define CONFIRM_FACTS_MAX 48   /* numbers, dates, codes and names of one */

/* ---- text analysis ---- */
#define NFC_STRETCH_BYTES_MAX 1024 /* normalised at once: utf8proc sorts marks in O(n^2) */
#define GRAPHEME_LOOKBACK_MAX                                                                      \
    128 /* code points; a longer cluster is no character of a language                             \
         */
#define MORPHEME_PIECE_BYTES_MAX 16384 /* a line that libmecab parses at once */
#define WORD_CHARS_MAX           256   /* a longer "word" is analysed in pieces */

/* ---- tokenizers (nn/tokenizer*.c) ---- */
#define TOKENIZER_TEXT_BYTES_MAX         (16u << 20)  /* one text: a long book */
#define TOKENIZER_NORMALIZED_BYTES_MAX   (256u << 20) /* NFKC grows 11-fold at worst (U+FDFA) */
#define TOKENIZER_JSON_BYTES_MAX         (64u << 20)  /* Gemma 3's tokenizer.json has 33 MB */
#define TOKENIZER_JSON_COMMAS_MAX        (4u << 20) /* of it, bounds its nodes; Gemma 3: 2.1 million */
#define TOKENIZER_IDS_MAX                (1u << 21) /* Gemma 3 has 262,145 tokens */
#define TOKENIZER_ADDED_MAX              65536      /* Gemma 3 has 6,415 */
#define TOKENIZER_TOKEN_BYTES_MAX        4096       /* of one token: finding it takes bytes steps */
#define TOKENIZER_CHARSMAP_BYTES_MAX     (8u << 20) /* nmt_nfkc has 237,539 */
#define TOKENIZER_CHARSMAP_KEY_BYTES_MAX 64         /* nmt_nfkc's longest key has 12 */
#define TOKENIZER_MODEL_BYTES_MAX        (64u << 20) /* tokenizer.model; Gemma's has 4 MB */
#define TOKENIZER_VOCAB_BYTES_MAX        (64u << 20) /* all tokens of it or of a GGUF; Gemma: 2 MB */
#define TOKENIZER_MERGES_MAX             (4u << 20)  /* of a GGUF; the largest have 450,000 */
#define TOKENIZER_PATTERN_STEPS          100000 /* of a split pattern on a text; and per byte: */
#define TOKENIZER_PATTERN_STEPS_PER_BYTE 256    /* the known patterns take 20 */

/* ---- chat templates ---- */
#define CHAT_TEMPLATE_BYTES_MAX (1u << 20) /* a Jinja text; the longest have 20,000 */
#define CHAT_SYSTEM_BYTES_MAX   8192       /* a default system message in it; known ones have 70 */

/* ---- instructions in texts (guard/injection*.c, guard/leak.c) ---- */
#define INJECTION_WINDOW_CHARS                                                                     \
    512 /* of a sentence; longer ones are read in parts that overlap by: */
#define INJECTION_OVERLAP_CHARS     128  /* more than the span of most rules */
#define INJECTION_PHRASES_MAX       2048 /* of the tables: an index of them is on the stack */
#define INJECTION_HITS_MAX          192  /* phrases in one sentence; more are not looked at */
#define INJECTION_FOUND_MAX         256  /* in one sentence: it holds no more control tokens */
#define INJECTION_MARKS_MAX         3    /* between two syllables or words of a phrase */
#define INJECTION_SPACED_LETTERS    6    /* standing alone one after the other: no abbreviation */
#define INJECTION_TOKEN_CHARS_MAX   48   /* of <|name|>; the longest known one has 25 */
#define INJECTION_ZERO_WIDTH_RUN    4    /* in a row: nobody types them */
#define INJECTION_ZERO_WIDTH_SPLIT  8    /* between letters of one sentence */
#define INJECTION_FLAG_BYTES_MAX    32   /* tags of a region's flag: 6 of 4 bytes, with the last */
#define INJECTION_DECODED_BYTES_MAX 4096 /* of one encoded run */
#define INJECTION_DECODED_MIN       12   /* bytes; "ignore rules" */
#define INJECTION_ESCAPES_MIN       2    /* %20 between three words */
#define LEAK_PROMPT_CHARS_MAX       4096 /* of a system prompt: letters and digits, on the stack */
#define LEAK_RUN_WEIGHT             48   /* of a repeated run: a letter counts 1, a syllable 2 */

/* ---- guard ---- */
#define GUARD_POLICY_BYTES_MAX    (1u << 20) /* a policy file; 256 rules have 100 KB */
#define GUARD_RULES_MAX           256
#define GUARD_RULE_NAME_BYTES_MAX 64  /* it stands in every finding of an audit record */
#define GUARD_REASON_BYTES_MAX    255 /* what a person reads when refused */
#define GUARD_COLLECTIONS_MAX     64  /* that one rule names */
#define GUARD_COMMENT_BYTES_MAX   4096
#define GUARD_RUBRIC_BYTES_MAX    2048  /* what a judge is asked */
#define GUARD_EMBED_BYTES_MAX     65536 /* of a text that is embedded; embedders read 512 tokens */
#define GUARD_FINDINGS_MAX        256   /* of one text; masks go on beyond */
#define GUARD_PATTERNS_MAX        256   /* of one rule */
#define GUARD_PATTERN_BYTES_MAX   4096  /* of a regular expression */
#define GUARD_PATTERN_NEST_MAX    64    /* parentheses: the compiler recurses */
#define GUARD_PATTERN_CODE_BYTES_MAX                                                               \
    (48u << 10)                              /* compiled: repetitions of repetitions grow it       \
                                              */
#define GUARD_PATTERN_STEPS          200000  /* items of a pattern tried in a text; and per byte: */
#define GUARD_PATTERN_STEPS_PER_BYTE 32      /* usual patterns take under 3 */
#define GUARD_PATTERN_CPU_MS         5       /* of one pattern in a text; and per MiB: */
#define GUARD_PATTERN_CPU_MS_PER_MIB 250     /* a slow but honest pattern reads 20 MB/s */
#define GUARD_PATTERN_MATCH_LIMIT    1000000 /* PCRE2's own count, a second line of defence */
#define GUARD_PATTERN_HEAP_KIB       8192    /* of its backtracking */
#define GUARD_KEYWORDS_MAX           200000  /* of one rule */
#define GUARD_KEYWORD_CHARS_MAX      64
#define GUARD_KEYWORD_LETTERS_MAX    (1u << 20) /* of all; each is about 50 bytes of memory */
#define GUARD_KEYWORDS_BYTES_MAX     (4u << 20) /* of a file of them */

/* ---- models that guard (guard/judge.c, examples.c, classifier*.c) ---- */
#define JUDGE_TEXT_BYTES_MAX      65536 /* of a text that a model judges; as ANSWER_BYTES_MAX */
#define JUDGE_PROMPT_BYTES_MAX    (1u << 20) /* that thrice, the question, the rubric */
#define JUDGE_ANSWER_BYTES_MAX    4096       /* of a verdict; "yes" has 3 */
#define JUDGE_TOKENS_MAX          16         /* {"verdict": "yes"} has 7 */
#define EXAMPLES_MAX              10000      /* compared one by one: 2 ms */
#define EXAMPLE_BYTES_MAX         8192       /* as QUESTION_BYTES_MAX */
#define EXAMPLES_FILE_BYTES_MAX   (16u << 20)
#define EXAMPLES_BATCH            256 /* texts embedded in one call when the policy is opened */
#define CLASSIFIER_HASH_BITS      18  /* 262,144 places of n-grams: 10,000 questions have 200,000 */
#define CLASSIFIER_WORD_CHARS_MAX 64  /* a longer word is read in parts */
#define CLASSIFIER_PART_BYTES     4096 /* of a long text, scored by itself */
#define CLASSIFIER_EXAMPLES_MIN   10   /* of each class: two of them are held out */
#define CLASSIFIER_EXAMPLES_MAX   1000000
#define CLASSIFIER_FILE_BYTES_MAX (4u << 20) /* all places with 8 bytes have 2 MiB */

/* ---- evaluation files (read by ragctl) ---- */
#define EVAL_FILE_BYTES_MAX       (512u << 20) /* SQuAD 2.0 train is 42 MB, KorQuAD 1.0 train 38 MB */
#define EVAL_LINE_BYTES_MAX       (64u << 20)  /* one JSONL record: at most a document */
#define EVAL_TEXT_BYTES_MAX       (8ull << 30) /* passages and questions in memory */
#define EVAL_PASSAGES_MAX         10000000     /* with distractors */
#define EVAL_QUESTIONS_MAX        2000000
#define EVAL_ANSWER_BYTES_MAX     65536
#define EVAL_ANSWERS_MAX          1000     /* alternatives of one question */
#define EVAL_EVIDENCE_MAX         64       /* evidence texts, documents or norms of one question */
#define EVAL_JUDGMENTS_MAX        10000000 /* lines of a TREC file: MS MARCO train has 533,000 */
#define EVAL_RELEVANT_MAX         4096     /* of one topic: TREC's largest have some 1,500 */
#define EVAL_CACHE_PAIRS_MAX      200000   /* KorSTS with generated pairs has 10,000 */
#define EVAL_CACHE_LINE_BYTES_MAX (1u << 20)   /* two questions, escaped */
#define EVAL_CACHE_TEXT_BYTES_MAX (512u << 20) /* all of them */
#define EVAL_CACHE_NAME_BYTES_MAX 256          /* of a kind of difference, of an id */
#define EVAL_CACHE_ASKED_MAX      5000 /* questions put to a full cache: each is compared with all */
#define EVAL_CACHE_KINDS_MAX      16   /* of differences that a report tells apart */

#endif
