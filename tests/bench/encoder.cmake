# Encoders: one program that answers line by line, driven by encoder_rounds.py beside the peers.
rag_bench(bench_encoder SOURCES ${CMAKE_CURRENT_LIST_DIR}/bench_encoder.c LINK rag_embed)
