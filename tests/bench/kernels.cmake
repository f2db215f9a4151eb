# The ceilings are instructions of x86-64 alone.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    set_source_files_properties(kernel_ceilings.c PROPERTIES COMPILE_OPTIONS
        "-mamx-tile;-mamx-int8;-mamx-bf16")
    rag_bench(bench_kernels SOURCES bench_kernels.c kernel_ceilings.c LINK rag_nn)
endif()
rag_bench(bench_block_linear SOURCES bench_block_linear.c LINK rag_nn)
