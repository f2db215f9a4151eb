/* eval/html_page.h - what the pages of reports share: style, head, foot, small parts. Pure.
 *
 * No script, no font, no picture from anywhere: style and SVG are inline, and a
 * Content-Security-Policy in the page forbids everything else, because what is shown is other
 * people's text. */
#ifndef RAG_EVAL_HTML_PAGE_H
#define RAG_EVAL_HTML_PAGE_H

#include <stddef.h>

#include "base/buf.h"

/* Up to the open <main>; 'source' ends the title. */
void html_page_begin(struct buf *out, const char *source);
void html_page_end(struct buf *out);

/* An open <section> with its heading in both languages (HTML). */
void html_section(struct buf *out, const char *korean, const char *english);
/* Chips stand in <div class="chips">; 'value' is escaped, 'label' is HTML. */
void html_chip_text(struct buf *out, const char *label, const char *value);
void html_chip_number(struct buf *out, const char *label, size_t value);
/* A large share in <div class="kpis">; nothing when it is not finite. */
void html_kpi(struct buf *out, double value, const char *korean, const char *english);

#endif
