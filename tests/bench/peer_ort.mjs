// peer_ort.mjs GRAPHS_DIR WORKLOADS THREADS - ONNX Runtime, asked line by line.
//
//   run GRAPH MODE WORKLOAD   one pass over the workload's texts; the first is preceded by an
//                             unmeasured one. MODE: batch1, padded8 (in the order given),
//                             sorted8 (by length), likewise 16, 32. Tensors are made before the
//                             clock starts. Answers {"wall_s","cpu_s","tokens"}
//   probe GRAPH MODE WORKLOAD     the same over every fourth text, to find the faster forms
//   vectors GRAPH MODE WORKLOAD   the outputs, in the order of the texts
//
// Node finds onnxruntime-node through PEERS, the folder that holds node_modules.
import {createRequire} from "node:module";
import {readFileSync} from "node:fs";
import {createInterface} from "node:readline";
import path from "node:path";

const require = createRequire(path.join(process.env.PEERS, "anchor.js"));
const ort = require("onnxruntime-node");
const [graphs, workloadsFile, threads] = process.argv.slice(2);
const workloads = JSON.parse(readFileSync(workloadsFile, "utf8"));
const SESSIONS_MAX = 5; // kept open, those used last: each holds its weights and an arena
const sessions = new Map();
const warm = new Set();
const prepared = new Map();

async function session(name) {
    const kept = sessions.get(name);
    sessions.delete(name);
    const ret = kept ?? await ort.InferenceSession.create(path.join(graphs, name + ".onnx"), {
        intraOpNumThreads: Number(threads), interOpNumThreads: 1,
        executionMode: "sequential", graphOptimizationLevel: "all", executionProviders: ["cpu"],
        logSeverityLevel: 3,
    });
    sessions.set(name, ret);
    for (const [old, s] of sessions) {
        if (sessions.size <= SESSIONS_MAX)
            break;
        sessions.delete(old);
        for (const key of warm) {
            if (key.startsWith(old + ","))
                warm.delete(key);
        }
        await s.release();
    }
    return ret;
}

function batches(mode, texts) {
    const [, kind, digits] = /^(batch|padded|sorted)(\d+)$/.exec(mode);
    const order = texts.map((_, i) => i);
    if (kind === "sorted")
        order.sort((a, b) => texts[a].ids.length - texts[b].ids.length);
    const ret = [];
    for (let at = 0; at < order.length; at += Number(digits))
        ret.push(order.slice(at, at + Number(digits)));
    return ret;
}

function feeds(indexes, texts, names) {
    const n = indexes.length;
    const length = Math.max(...indexes.map((i) => texts[i].ids.length));
    const values = {input_ids: 0, token_type_ids: 0, attention_mask: 0};
    for (const name in values)
        values[name] = new BigInt64Array(n * length);
    indexes.forEach((index, row) => {
        texts[index].ids.forEach((id, at) => {
            values.input_ids[row * length + at] = BigInt(id);
            values.token_type_ids[row * length + at] = BigInt(texts[index].types[at]);
            values.attention_mask[row * length + at] = 1n;
        });
    });
    const ret = {};
    for (const name of names)
        ret[name] = new ort.Tensor("int64", values[name], [n, length]);
    return ret;
}

function prepare(verb, mode, workload, names) {
    const key = [verb === "probe", mode, workload, names].join();
    if (!prepared.has(key)) {
        const texts = workloads[workload].filter((_, i) => verb !== "probe" || i % 4 === 0);
        prepared.set(key, batches(mode, texts).map((indexes) =>
            ({indexes, feed: feeds(indexes, texts, names),
                tokens: indexes.reduce((sum, i) => sum + texts[i].ids.length, 0)})));
    }
    return prepared.get(key);
}

async function run(verb, graph, mode, workload) {
    const s = await session(graph);
    const work = prepare(verb, mode, workload, s.inputNames);
    const key = [graph, verb, mode, workload].join();
    if (!warm.has(key)) {
        warm.add(key);
        for (const {feed} of work)
            await s.run(feed);
    }
    const cpu = process.cpuUsage();
    const begun = process.hrtime.bigint();
    for (const {feed} of work)
        await s.run(feed);
    const wall = Number(process.hrtime.bigint() - begun) / 1e9;
    const used = process.cpuUsage(cpu);
    const tokens = work.reduce((sum, batch) => sum + batch.tokens, 0);
    return {wall_s: wall, cpu_s: (used.user + used.system) / 1e6, tokens};
}

async function vectors(verb, graph, mode, workload) {
    const s = await session(graph);
    const ret = [];
    for (const {indexes, feed} of prepare(verb, mode, workload, s.inputNames)) {
        const out = (await s.run(feed))[s.outputNames[0]];
        const width = out.dims[1];
        indexes.forEach((index, row) => {
            ret[index] = Array.from(out.data.slice(row * width, (row + 1) * width));
        });
    }
    return {vectors: ret};
}

for await (const line of createInterface({input: process.stdin})) {
    const [verb, graph, mode, workload] = line.trim().split(/\s+/);
    try {
        const reply = await (verb === "vectors" ? vectors : run)(verb, graph, mode, workload);
        console.log(JSON.stringify(reply));
    } catch (error) {
        console.log(JSON.stringify({error: String(error.message ?? error)}));
    }
}
