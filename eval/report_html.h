/* eval/report_html.h - a run as one self-contained HTML page, Korean and English.
 *
 * No script, no font, no picture from anywhere: style and SVG are inline, and a
 * Content-Security-Policy in the page forbids everything else, because questions, documents
 * and answers are other people's text. That text is escaped, its control characters and
 * bidirectional overrides are replaced, and bad UTF-8 becomes U+FFFD. Pure. */
#ifndef RAG_EVAL_REPORT_HTML_H
#define RAG_EVAL_REPORT_HTML_H

#include <stddef.h>

#include "base/buf.h"
#include "eval/run.h"

/* Append the page to out: check buf_status(). */
void report_html(const struct run *run, struct buf *out);

#endif
