# RAG_SANITIZE names the sanitizers of a build (see CMakePresets.json);
# RAG_FUZZ instruments the libraries for libFuzzer as well.
set(RAG_SANITIZE "" CACHE STRING "comma-separated sanitizers, e.g. address,undefined")
option(RAG_FUZZ "build the fuzzers of tests/fuzz (clang)" OFF)
if(RAG_SANITIZE)
    add_compile_options(-fsanitize=${RAG_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
    add_link_options(-fsanitize=${RAG_SANITIZE})
endif()
# What loops for long - an index, an analyser, a test's sums in double - is compiled with a little
# optimisation, which makes it about twice as fast and keeps the checks. Not everything: that would
# cost more time to compile than it saves, the kernels of nn/ most of all.
function(rag_sanitized_loops target)
    if(RAG_SANITIZE MATCHES address AND NOT RAG_FUZZ)
        target_compile_options(${target} PRIVATE -O1)
    endif()
endfunction()
if(RAG_FUZZ)
    add_compile_options($<$<COMPILE_LANGUAGE:C>:-fsanitize=fuzzer-no-link>)
    # g++ compiles the one C++ file, clang links it with the runtime for C
    add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-fno-sanitize=vptr>)
endif()
