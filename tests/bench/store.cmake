# What a durable write costs: appends, puts, and what a big document does to the others.
rag_bench(bench_store SOURCES ${CMAKE_CURRENT_LIST_DIR}/bench_store.c LINK rag_store)
