# A client that costs the machine as little as possible, for times below a millisecond.
rag_bench(request_times SOURCES ${CMAKE_CURRENT_LIST_DIR}/request_times.c LINK rag_base)
# The lookup alone, without what is around it.
rag_bench(bench_answer_cache SOURCES ${CMAKE_CURRENT_LIST_DIR}/bench_answer_cache.c LINK rag_cache)
