# Decoders: one program that answers line by line, driven by decoder_rounds.py beside llama.cpp.
rag_bench(bench_decoder SOURCES ${CMAKE_CURRENT_LIST_DIR}/bench_decoder.c LINK rag_nn)
