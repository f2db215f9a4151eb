# OpenMP: FAISS's own index, the peer, builds with it.
rag_bench(bench_vectors
    SOURCES bench_vectors.c bench_vectors_data.c bench_vectors_text.c bench_vectors_faiss.cpp
    LINK rag_store rag_embed PkgConfig::OPENBLAS PkgConfig::XXHASH m)
set_source_files_properties(bench_vectors_faiss.cpp PROPERTIES COMPILE_OPTIONS "-fopenmp;-Wno-conversion")
