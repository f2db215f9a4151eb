#include "eval/compare.h"

#define DEPTH 10

static double reciprocal(uint32_t rank)
{
    return rank == RANK_NOT_FOUND || rank > DEPTH ? 0.0 : 1.0 / rank;
}

void compare_stages(const struct run *run, enum run_stage a, enum run_stage b, struct paired *ret)
{
    struct paired_sum sum = {0};

    for (size_t i = 0; i < run->n_outcomes; i++) {
        const struct outcome *o = &run->outcomes[i];
        double d = reciprocal(o->rank[a]) - reciprocal(o->rank[b]);

        if (!o->retrievable || o->paraphrase)
            continue;
        paired_add(&sum, d);
    }
    *ret = paired_interval(&sum);
}

static double mrr(const struct run *run, enum run_stage stage)
{
    return stage_quality_mean(&run->sums[stage]).mrr_at_10;
}

bool compare_fused(const struct run *run, enum run_stage *ret_member, struct paired *ret)
{
    if (run->fused == N_RUN_STAGES || !run->ran[run->fused] || !run->ran[RUN_BM25] ||
        !run->ran[RUN_DENSE])
        return false;
    *ret_member = mrr(run, RUN_DENSE) > mrr(run, RUN_BM25) ? RUN_DENSE : RUN_BM25;
    compare_stages(run, run->fused, *ret_member, ret);
    return true;
}

bool compare_reranked(const struct run *run, enum run_stage *ret_before, struct paired *ret)
{
    *ret_before = run->fused != N_RUN_STAGES ? run->fused : RUN_BM25;
    if (!run->ran[RUN_RERANK] || !run->ran[*ret_before])
        return false;
    compare_stages(run, RUN_RERANK, *ret_before, ret);
    return true;
}

size_t compare_rows(const struct run *run, struct compare_row ret[COMPARE_ROWS_MAX])
{
    enum run_stage lists[2] = {run->fused, RUN_FINAL};
    enum run_stage members[2] = {RUN_BM25, RUN_DENSE};
    size_t n = 0;

    for (size_t a = 0; a < 2; a++) {
        for (size_t b = 0; b < 2; b++) {
            struct compare_row *row = &ret[n];

            if (!run->ran[RUN_DENSE] || lists[a] == N_RUN_STAGES || !run->ran[lists[a]] ||
                !run->ran[members[b]])
                continue;
            row->a = lists[a];
            row->b = members[b];
            compare_stages(run, row->a, row->b, &row->result);
            n++;
        }
    }
    return n;
}
