rag_bench(bench_answers
    SOURCES bench_answers.c bench_answers_corpus.c
    LINK rag_embed rag_retrieve rag_generate rag_eval Threads::Threads)
