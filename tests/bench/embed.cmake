rag_bench(bench_embed
    SOURCES bench_embed.c
    LINK rag_embed)
