/* faiss::HNSW behind vector_faiss.h. */
#include "store/vector_faiss.h"

#include <algorithm>
#include <memory>
#include <new>
#include <stdexcept>
#include <vector>

#include <faiss/impl/AuxIndexStructures.h>
#include <faiss/impl/DistanceComputer.h>
#include <faiss/impl/HNSW.h>

struct vector_faiss {
    faiss::HNSW hnsw;
    std::vector<omp_lock_t> locks;

    explicit vector_faiss(int m) : hnsw(m)
    {
    }
};

namespace
{

/* FAISS wants distances: smaller is nearer. */
struct negative_products final : faiss::DistanceComputer {
    const vector_faiss_products products;
    void *const context;

    negative_products(const vector_faiss_products &given, void *given_context)
        : products(given), context(given_context)
    {
    }
    void set_query(const float *) override
    {
    }
    float operator()(idx_t i) override
    {
        return -products.to_row(context, static_cast<uint32_t>(i));
    }
    float symmetric_dis(idx_t i, idx_t j) override
    {
        return -products.between(context, static_cast<uint32_t>(i), static_cast<uint32_t>(j));
    }
};

/* Run 'what' and make a status of what it throws. */
template <typename F> rag_status guarded(F what) noexcept
{
    try {
        what();
        return RAG_OK;
    } catch (const std::bad_alloc &) {
        return RAG_ENOMEM;
    } catch (const std::length_error &) {
        return RAG_ENOMEM;
    } catch (...) {
        return RAG_EINTERNAL;
    }
}

template <typename T> uint64_t held(const std::vector<T> &v)
{
    return static_cast<uint64_t>(v.capacity()) * sizeof(T);
}

} // namespace

struct vector_faiss_scratch {
    negative_products distances;
    faiss::VisitedTable visited;

    vector_faiss_scratch(const vector_faiss_products &products, void *context, size_t n)
        : distances(products, context), visited(static_cast<int>(n))
    {
    }
};

rag_status vector_faiss_new(size_t m, size_t ef_construction, struct vector_faiss **ret)
{
    return guarded([&] {
        std::unique_ptr<vector_faiss> graph(new vector_faiss(static_cast<int>(m)));

        graph->hnsw.efConstruction = static_cast<int>(ef_construction);
        *ret = graph.release();
    });
}

void vector_faiss_free(struct vector_faiss *graph)
{
    if (graph)
        vector_faiss_end(graph);
    delete graph;
}

rag_status vector_faiss_set_size(struct vector_faiss *graph, const struct vector_faiss *from,
                                 const int *levels, size_t n)
{
    return guarded([&] {
        faiss::HNSW &to = graph->hnsw;
        const size_t n_from = from ? from->hnsw.levels.size() : 0;
        std::vector<int> new_levels(levels, levels + n);
        std::vector<size_t> offsets(n + 1);
        std::vector<faiss::HNSW::storage_idx_t> neighbors;

        for (size_t i = 0; i < n; i++)
            offsets[i + 1] = offsets[i] + static_cast<size_t>(to.cum_nb_neighbors(new_levels[i]));
        neighbors.reserve(offsets[n]);
        if (n_from)
            neighbors.assign(from->hnsw.neighbors.begin(), from->hnsw.neighbors.end());
        neighbors.resize(offsets[n], -1);
        to.levels.swap(new_levels);
        to.offsets.swap(offsets);
        to.neighbors.swap(neighbors);
        to.entry_point = n_from ? from->hnsw.entry_point : -1;
        to.max_level = n_from ? from->hnsw.max_level : -1;
    });
}

void vector_faiss_links(struct vector_faiss *graph, struct vector_links *ret)
{
    faiss::HNSW &h = graph->hnsw;
    const size_t n_levels = std::min<size_t>(h.assign_probas.size(), VECTOR_LEVELS_MAX);

    *ret = vector_links{};
    ret->n = h.levels.size();
    ret->levels = h.levels.data();
    ret->offsets = h.offsets.data();
    ret->neighbors = h.neighbors.data();
    ret->n_levels = n_levels;
    for (size_t i = 0; i <= n_levels; i++)
        ret->cumulative[i] = static_cast<size_t>(h.cum_nneighbor_per_level[i]);
    ret->entry_point = h.entry_point;
    ret->max_level = h.max_level;
}

void vector_faiss_set_entry(struct vector_faiss *graph, int32_t row, int max_level)
{
    graph->hnsw.entry_point = row;
    graph->hnsw.max_level = max_level;
}

uint64_t vector_faiss_bytes(const struct vector_faiss *graph)
{
    const faiss::HNSW &h = graph->hnsw;

    return sizeof *graph + held(h.levels) + held(h.offsets) + held(h.neighbors) +
           held(graph->locks);
}

rag_status vector_faiss_scratch_new(const struct vector_faiss *graph,
                                    const struct vector_faiss_products *products, void *context,
                                    struct vector_faiss_scratch **ret)
{
    return guarded(
        [&] { *ret = new vector_faiss_scratch(*products, context, graph->hnsw.levels.size()); });
}

void vector_faiss_scratch_free(struct vector_faiss_scratch *scratch)
{
    delete scratch;
}

rag_status vector_faiss_begin(struct vector_faiss *graph)
{
    return guarded([&] {
        graph->locks.resize(graph->hnsw.levels.size());
        for (omp_lock_t &lock : graph->locks)
            omp_init_lock(&lock);
    });
}

void vector_faiss_end(struct vector_faiss *graph)
{
    for (omp_lock_t &lock : graph->locks)
        omp_destroy_lock(&lock);
    std::vector<omp_lock_t>().swap(graph->locks);
}

rag_status vector_faiss_insert(struct vector_faiss *graph, struct vector_faiss_scratch *scratch,
                               uint32_t row)
{
    return guarded([&] {
        graph->hnsw.add_with_locks(scratch->distances, graph->hnsw.levels[row] - 1,
                                   static_cast<int>(row), graph->locks, scratch->visited);
    });
}

void vector_faiss_unlock(struct vector_faiss *graph)
{
    for (omp_lock_t &lock : graph->locks)
        omp_unset_lock(&lock);
}
