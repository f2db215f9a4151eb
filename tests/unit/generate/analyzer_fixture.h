/* tests/unit/generate/analyzer_fixture.h - an analyzer for all tests of a program, as the setup and
 * the teardown of its group. */
#ifndef RAG_TESTS_ANALYZER_FIXTURE_H
#define RAG_TESTS_ANALYZER_FIXTURE_H

#include "text/analyzer.h"

static struct analyzer *analyzer;

static int open_analyzer(void **state)
{
    struct analyzer_options options = {0};

    (void)state;
    return analyzer_open(&options, &analyzer, NULL) == RAG_OK ? 0 : -1;
}

static int close_analyzer(void **state)
{
    (void)state;
    analyzer_close(analyzer);
    return 0;
}

#endif
