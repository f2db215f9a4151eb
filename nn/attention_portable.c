#include <math.h>
#include <stddef.h>

#include "nn/kernels_table.h"
#include "nn/vector_scalar.h"

#define PATH(name) name##_portable

#include "nn/attention_template.h"
