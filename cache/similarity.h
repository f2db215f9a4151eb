/* cache/similarity.h - how alike two questions are: text/sparse_vector.h. */
#ifndef RAG_CACHE_SIMILARITY_H
#define RAG_CACHE_SIMILARITY_H

#include "text/sparse_vector.h"

#endif
