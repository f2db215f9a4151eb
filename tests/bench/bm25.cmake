rag_bench(bench_bm25
    SOURCES bench_bm25.c bm25_corpus.c
    LINK rag_retrieve PkgConfig::SQLITE3 PkgConfig::ZSTD PkgConfig::XXHASH m)

# Xapian is under the GPL: a program of its own, built where Xapian is, never installed.
pkg_check_modules(XAPIAN IMPORTED_TARGET xapian-core)
include(CheckLanguage)
check_language(CXX)
if(XAPIAN_FOUND AND CMAKE_CXX_COMPILER)
    enable_language(CXX)
    rag_bench(bench_bm25_xapian SOURCES bench_bm25_xapian.cpp LINK PkgConfig::XAPIAN)
    set_target_properties(bench_bm25_xapian PROPERTIES CXX_STANDARD 17 CXX_STANDARD_REQUIRED ON)
endif()

rag_bench(bench_bm25_cranfield
    SOURCES bench_bm25_cranfield.c
    LINK rag_retrieve PkgConfig::XXHASH m)
