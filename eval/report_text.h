/* eval/report_text.h - a run as lines for a terminal, ASCII but for the source's name. Pure. */
#ifndef RAG_EVAL_REPORT_TEXT_H
#define RAG_EVAL_REPORT_TEXT_H

#include "base/buf.h"
#include "eval/run.h"

/* Append the report to out: check buf_status(). */
void report_text(const struct run *run, struct buf *out);

#endif
