rag_bench(bench_kv_attention SOURCES bench_kv_attention.c LINK rag_nn)
