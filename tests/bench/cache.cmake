# A client that costs the machine as little as possible, for times below a millisecond.
rag_bench(request_times SOURCES ${CMAKE_CURRENT_LIST_DIR}/request_times.c LINK rag_base)
