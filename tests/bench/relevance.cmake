rag_bench(bench_relevance
    SOURCES bench_relevance.c relevance_set.c
    LINK rag_retrieve PkgConfig::XXHASH m)
