#include "bench_vectors_faiss.h"

#include <exception>
#include <memory>
#include <vector>

#include <omp.h>

#include <faiss/IndexHNSW.h>
#include <faiss/impl/IDSelector.h>

struct faiss_peer {
    faiss::IndexHNSWFlat index;

    faiss_peer(size_t dim, size_t m)
        : index(static_cast<int>(dim), static_cast<int>(m), faiss::METRIC_INNER_PRODUCT)
    {
    }
};

namespace
{

struct kept_rows final : faiss::IDSelector {
    const uint8_t *const kept;

    explicit kept_rows(const uint8_t *given) : kept(given)
    {
    }
    bool is_member(idx_t id) const override
    {
        return kept[id] != 0;
    }
};

} // namespace

struct faiss_peer *faiss_peer_build(const float *vectors, size_t n, size_t dim, size_t m,
                                    size_t ef_construction, size_t n_threads)
{
    try {
        std::unique_ptr<faiss_peer> peer(new faiss_peer(dim, m));

        omp_set_num_threads(static_cast<int>(n_threads));
        peer->index.hnsw.efConstruction = static_cast<int>(ef_construction);
        peer->index.add(static_cast<faiss::Index::idx_t>(n), vectors);
        omp_set_num_threads(1);
        return peer.release();
    } catch (const std::exception &) {
        return nullptr;
    }
}

void faiss_peer_free(struct faiss_peer *peer)
{
    delete peer;
}

void faiss_peer_search(struct faiss_peer *peer, const float *query, size_t k, size_t ef,
                       const uint8_t *kept, int64_t *ret)
{
    faiss::SearchParametersHNSW parameters;
    kept_rows selector(kept);
    std::vector<float> distances(k);

    peer->index.hnsw.efSearch = static_cast<int>(ef); /* 1.7.3 takes its queue's length from here */
    parameters.efSearch = static_cast<int>(ef);
    if (kept)
        parameters.sel = &selector;
    peer->index.search(1, query, static_cast<faiss::Index::idx_t>(k), distances.data(), ret,
                       &parameters);
}
