// Random Unicode through the reference library (npm "tokenizers", the official Rust code) and
// through ours: every id, type and decoded text must be equal.
//
// usage: node tokenizer_diff.mjs [--count N] [--seed S] [--lines FILE] [--variants]
//        --program TOKENIZE_RECORDS NAME=DIR[=OURS]...
//   from a directory whose node_modules has tokenizers@0.23.2. DIR holds tokenizer.json; its
//   truncation and padding are switched off. OURS is what our program opens instead of DIR, such as
//   the GGUF file that tokenizer_to_gguf.py made of it. N texts for each tokenizer (default 100000): half
//   with special tokens, a quarter without, a quarter pairs with truncation.
//   --lines: the lines of a file instead of random texts.
//   --variants: not the tokenizers themselves, but each with other normalizers, pre-tokenizers,
//   post-processors, decoders and flags of added tokens in turn.
// Says so and exits with 77 without the library or a tokenizer; 1 when anything differs. The last
// line is one JSON object: {"diff":"tokenizer","counts":{NAME:{"texts","wrong"}}}.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';

const options = { count: 100000, seed: 1, program: null, variants: false, lines: null };
const targets = [];
const argv = process.argv.slice(2);
while (argv.length) {
  const a = argv.shift();
  if (a === '--count' || a === '--seed') options[a.slice(2)] = Number(argv.shift());
  else if (a === '--variants') options.variants = true;
  else if (a === '--lines') options.lines = fs.readFileSync(argv.shift(), 'utf8').split('\n');
  else if (a === '--program') options.program = argv.shift();
  else targets.push(a.split('='));
}
let Tokenizer;
try {
  ({ Tokenizer } = createRequire(process.cwd() + '/')('tokenizers'));
} catch {
  console.error('SKIPPED: no node_modules/tokenizers here');
  process.exit(77);
}

// ---- random texts ----

let state = options.seed >>> 0;
function random() { // mulberry32
  state = (state + 0x6d2b79f5) >>> 0;
  let t = state;
  t = Math.imul(t ^ (t >>> 15), t | 1);
  t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
}
const below = (n) => Math.floor(random() * n);
const pick = (list) => list[below(list.length)];
const between = (a, b) => a + below(b - a + 1);
const char = (a, b) => {
  const c = between(a, b);
  return c >= 0xd800 && c <= 0xdfff ? '\ufffd' : String.fromCodePoint(c);
};
const repeat = (n, f) => Array.from({ length: n }, f).join('');

const SPACES = [' ', ' ', ' ', '  ', '   ', '\t', '\n', '\r', '\r\n', '\n\n', '\v', '\f', '\u0085', '\u00a0', '\u1680',
  '\u2003', '\u2028', '\u2029', '\u202f', '\u205f', '\u3000', '\u200b', '\ufeff', '\u2581', '\u180e', '\u200d', '\u00ad'];
const WORDS = ['the', 'The', 'HELLO', "don't", "I'M", "we'LL", "it's", "'S", "'\u017f", 'naïve', 'café', 'Straße', 'İstanbul',
  'ΣΊΣΥΦΟΣ', 'ﬁne', '한국어', '안녕하세요', '데이터베이스', '검색증강생성', 'привет', 'Здравствуйте', '東京', '日本語', 'ひらがな',
  'カタカナ', '中文', '你好', 'العربية', 'עברית', 'हिन्दी', 'ไทย', 'தமிழ்', 'မြန်မာ', 'ភាសា', '１２３', '½', '㎏', '①', '㈜', '㋿',
  'http://a.b/c?d=e&f', 'x_y', 'a.b', '3.14', '12345678', '#$%', '...', '--', '……', '“”', '(주)', '<|', '|>', '[', ']', '▁', '<0x41>', '##a'];
const EMOJI = ['😀', '👨‍👩‍👧‍👦', '👍🏽', '🇰🇷', '🇰', '❤️', '1️⃣', '🏴󠁧󠁢󠁥󠁮󠁧󠁿', '☃', '\u200d', '\ufe0f', '🧑🏿‍🚀'];
const MARKS = () => pick([() => char(0x300, 0x36f), () => char(0x591, 0x5c7), () => char(0x610, 0x61a), () => char(0x64b, 0x65f),
  () => char(0x900, 0x963), () => char(0xe31, 0xe4e), () => char(0x1ab0, 0x1aeb), () => char(0x1dc0, 0x1dff), () => char(0x20d0, 0x20f0),
  () => char(0x302a, 0x302f), () => char(0x3099, 0x309a), () => char(0xfe20, 0xfe2f), () => char(0x1d165, 0x1d172), () => char(0x898, 0x89f)])();

function word(extra) {
  switch (below(24)) {
    case 0: return pick(extra.special);
    case 1: case 2: return pick(extra.vocabulary);
    case 3: return repeat(between(1, 6), () => char(0xac00, 0xd7a3));
    case 4: return repeat(between(1, 4), () => char(0xac00, 0xd7a3)).normalize('NFD');
    case 5: return repeat(between(1, 5), () => char(0x1100, 0x11ff));
    case 6: return repeat(between(1, 3), () => char(0x3131, 0x318e));
    case 7: return repeat(between(1, 4), () => char(0x61, 0x7a) + (random() < 0.4 ? repeat(between(1, 4), MARKS) : ''));
    case 8: return repeat(between(1, 3), () => char(0xa0, 0x24f)).normalize(pick(['NFC', 'NFD', 'NFKC', 'NFKD']));
    case 9: return pick(EMOJI);
    case 10: return repeat(between(1, 4), () => char(0, 0x1f));
    case 11: return repeat(between(1, 5), () => char(0x20, 0x7e));
    case 12: return repeat(between(1, 4), () => char(0x370, 0x5ff));
    case 13: return repeat(between(1, 4), () => char(0x600, 0x1cff));
    case 14: return repeat(between(1, 4), () => char(0x1d00, 0x2fff));
    case 15: return repeat(between(1, 4), () => char(0x3000, 0x33ff));
    case 16: return repeat(between(1, 4), () => char(0x4e00, 0x9fff));
    case 17: return repeat(between(1, 3), () => char(0xa000, 0xffff));
    case 18: return repeat(between(1, 3), () => char(0x10000, 0x1ffff));
    case 19: return repeat(between(1, 2), () => char(0x20000, 0x10ffff));
    case 20: return MARKS();
    case 21: return random() < 0.1 ? repeat(between(60, 260), () => pick(['a', '가', 'é', 'Z', '9', '\u0301', '!', ' '])) : repeat(between(1, 9), () => char(0x30, 0x39));
    default: return pick(WORDS);
  }
}
let line = 0;
function text(extra) {
  if (options.lines) return options.lines[line++ % options.lines.length];
  let s = '';
  for (let n = between(0, random() < 0.05 ? 60 : 9); n > 0; n--) {
    s += word(extra);
    if (random() < 0.6) s += pick(SPACES);
  }
  return s.toWellFormed ? s.toWellFormed() : s;
}

// ---- both sides ----

function ours(program, directory, records) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, [directory], { stdio: ['pipe', 'pipe', 'inherit'] });
    const chunks = [];
    child.stdout.on('data', (c) => chunks.push(c));
    child.on('error', reject);
    child.on('close', (code) => (code === 0 ? resolve(Buffer.concat(chunks).toString().split('\n').slice(0, -1))
      : reject(new Error(`${program} ${directory}: exit ${code}`))));
    const data = [];
    for (const r of records) {
      const a = Buffer.from(r.text);
      const b = r.pair === undefined ? null : Buffer.from(r.pair);
      data.push(Buffer.from(`${r.special ? 1 : 0} ${r.max ?? 0} ${a.length} ${b ? b.length : -1}\n`), a);
      if (b) data.push(b);
    }
    child.stdin.on('error', () => {});
    child.stdin.end(Buffer.concat(data));
  });
}

async function reference(tokenizer, records) {
  const lines = [];
  let max = null;
  tokenizer.disableTruncation();
  for (const r of records) {
    if ((r.max ?? null) !== max) {
      max = r.max ?? null;
      if (max) tokenizer.setTruncation(max);
      else tokenizer.disableTruncation();
    }
    const e = await tokenizer.encode(r.text, r.pair ?? null, { addSpecialTokens: r.special });
    const ids = e.getIds();
    lines.push({ ids: ids.join(' '), types: e.getTypeIds().join(' '), decoded: await tokenizer.decode(ids, false) });
  }
  return lines;
}

// ---- other steps around a model ----

const seq = (kind, members, list) => ({ type: 'Sequence', [members]: list });
const norm = (...list) => ({ normalizer: seq('n', 'normalizers', list) });
const pre = (...list) => ({ pre_tokenizer: seq('p', 'pretokenizers', list) });
const split = (pattern, behavior, invert = false) => ({ type: 'Split', pattern, behavior, invert });
const meta = (prepend_scheme, splits = true) => ({ type: 'Metaspace', replacement: '▁', prepend_scheme, split: splits });
const byteLevel = (add_prefix_space, use_regex) => ({ type: 'ByteLevel', add_prefix_space, trim_offsets: true, use_regex });
const added = (content, flags) => ({ content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: false, ...flags });
const ADDED = [added('the', { single_word: true }), added('한국', { lstrip: true }), added('HELLO', { normalized: true }), added('café', { normalized: true, rstrip: true }),
  added('x_y', { lstrip: true, rstrip: true, special: true }), added('##a', {}), added('[', { single_word: true, normalized: true }), added('日本', { normalized: true, single_word: true }),
  added('a.b', { special: true, normalized: true, lstrip: true }), added('▁', { rstrip: true }), added('--', { single_word: true, rstrip: true })];
const VARIANTS = {
  bert: { ...norm({ type: 'BertNormalizer', clean_text: true, handle_chinese_chars: true, strip_accents: true, lowercase: false }), ...pre({ type: 'BertPreTokenizer' }) },
  bertRaw: norm({ type: 'BertNormalizer', clean_text: false, handle_chinese_chars: false, strip_accents: null, lowercase: true }),
  nfd: norm({ type: 'NFD' }, { type: 'Lowercase' }, { type: 'StripAccents' }),
  nfkc: norm({ type: 'NFKC' }, { type: 'Strip', strip_left: true, strip_right: true }),
  nfkd: { ...norm({ type: 'Strip', strip_left: true, strip_right: false }, { type: 'NFKD' }), ...pre(meta('first')) },
  nfc: norm({ type: 'NFC' }, { type: 'Replace', pattern: { String: '  ' }, content: '▁' }, { type: 'Replace', pattern: { Regex: ' {2,}|[\\r\\n]+' }, content: ' ' }),
  nmt: { ...norm({ type: 'Nmt' }, { type: 'Replace', pattern: { Regex: 'a|\\p{N}' }, content: '' }), ...pre(meta('first', false)) },
  prepend: norm({ type: 'Prepend', prepend: '▁' }, { type: 'Lowercase' }),
  byteNorm: norm({ type: 'ByteLevel' }),
  whitespace: pre({ type: 'Whitespace' }),
  whitespaceSplit: pre({ type: 'WhitespaceSplit' }, { type: 'Digits', individual_digits: true }),
  digits: pre({ type: 'Digits', individual_digits: false }, byteLevel(true, true)),
  punctuation: pre({ type: 'Punctuation', behavior: 'MergedWithPrevious' }, meta('first')),
  punctuationNext: pre({ type: 'Punctuation', behavior: 'MergedWithNext' }, meta('always')),
  punctuationContiguous: pre({ type: 'Punctuation', behavior: 'Contiguous' }, meta('never')),
  punctuationRemoved: pre({ type: 'Punctuation', behavior: 'Removed' }, byteLevel(true, false)),
  gpt2: pre(byteLevel(false, true)),
  isolated: pre(split({ Regex: '\\p{Lu}\\p{Ll}+|[^\\s\\p{L}]' }, 'Isolated')),
  inverted: pre(split({ Regex: '\\p{M}+|\\s+(?!\\S)|[a-z가-힣]{2,3}' }, 'MergedWithPrevious', true)),
  next: pre(split({ String: ' ' }, 'MergedWithNext'), meta('first', false)),
  contiguous: pre(split({ Regex: '(?i:[sdmt]|ll|ve|re)' }, 'Contiguous')),
  removed: pre(split({ Regex: '\\s' }, 'Removed'), byteLevel(false, false)),
  cl100k: pre(split({ Regex: "'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+" }, 'Isolated'), byteLevel(false, false)),
  bloom: pre(split({ Regex: ' ?[^(\\s|[.,!?…。，、।۔،])]+' }, 'Isolated'), byteLevel(false, false)),
  bare: { normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null },
  bertPost: { post_processor: { type: 'BertProcessing', sep: ['b', 5], cls: ['a', 4] }, decoder: { type: 'WordPiece', prefix: '##', cleanup: true } },
  robertaPost: { post_processor: { type: 'RobertaProcessing', sep: ['b', 5], cls: ['a', 4], trim_offsets: true, add_prefix_space: true }, decoder: meta('first') },
  bytesBack: { decoder: seq('d', 'decoders', [{ type: 'ByteFallback' }, { type: 'Replace', pattern: { String: '▁' }, content: ' ' }, { type: 'Fuse' }, { type: 'Strip', content: ' ', start: 1, stop: 0 }]) },
  bpeDecoder: { decoder: { type: 'BPEDecoder', suffix: 'e' } },
  byteDecoder: { decoder: byteLevel(true, true) },
};

// Directories with one tokenizer.json each; added tokens take new ids behind the vocabulary.
function variants(name, spec) {
  const root = fs.mkdtempSync(path.join(os.tmpdir(), 'tokenizer-diff-'));
  const size = Array.isArray(spec.model.vocab) ? spec.model.vocab.length : Object.keys(spec.model.vocab).length;
  const known = Array.isArray(spec.model.vocab) ? new Map(spec.model.vocab.map((v, i) => [v[0], i])) : new Map(Object.entries(spec.model.vocab));
  let next = Math.max(size, ...spec.added_tokens.map((t) => t.id + 1));
  const tokens = ADDED.filter((t) => !spec.added_tokens.some((o) => o.content === t.content))
    .map((t) => ({ id: known.get(t.content) ?? next++, ...t }));
  return Object.entries(VARIANTS).map(([key, parts], i) => {
    const directory = path.join(root, `${name}.${key}`);
    fs.mkdirSync(directory);
    const extra = i % 2 ? tokens : [];
    fs.writeFileSync(path.join(directory, 'tokenizer.json'), JSON.stringify({ ...spec, ...parts, added_tokens: [...spec.added_tokens, ...extra] }));
    return [`${name}.${key}`, directory];
  });
}

async function compare(name, directory, own) {
  const spec = JSON.parse(fs.readFileSync(`${directory}/tokenizer.json`, 'utf8'));
  spec.truncation = spec.padding = null;
  const tokenizer = Tokenizer.fromString(JSON.stringify(spec));
  const vocabulary = Array.isArray(spec.model.vocab) ? spec.model.vocab.map((v) => v[0]) : Object.keys(spec.model.vocab);
  const special = spec.added_tokens.map((t) => t.content).slice(0, 400);
  const extra = { special: special.length ? special : ['<s>'], vocabulary };
  let wrong = 0;
  let done = 0;
  while (done < options.count) {
    const records = [];
    const max = between(8, 40);
    for (let i = 0; i < Math.min(4000, options.count - done); i++) {
      if (i % 4 === 3) records.push({ text: text(extra), pair: text(extra), special: random() < 0.8, max });
      else records.push({ text: text(extra), special: i % 4 !== 2 });
    }
    records.sort((a, b) => (a.max ?? 0) - (b.max ?? 0));
    const [a, b] = await Promise.all([ours(options.program, own, records), reference(tokenizer, records)]);
    records.forEach((r, i) => {
      const [ids, types, , hex] = (a[i] ?? 'missing|||').split('|');
      const decoded = Buffer.from(hex ?? '', 'hex').toString();
      const what = ids !== b[i].ids ? 'ids' : types !== b[i].types ? 'types' : decoded !== b[i].decoded ? 'decoded' : null;
      if (!what) return;
      if (++wrong <= 10) {
        console.log(`${name}: ${what} differ: ${JSON.stringify(r)}`);
        console.log(`  ours ${what === 'decoded' ? JSON.stringify(decoded) : what === 'ids' ? ids : types}`);
        console.log(`  want ${what === 'decoded' ? JSON.stringify(b[i].decoded) : b[i][what]}`);
      }
    });
    done += records.length;
  }
  return { texts: done, wrong };
}

const counts = {};
for (const [name, directory, own] of targets) {
  if (!directory || !fs.existsSync(`${directory}/tokenizer.json`)) {
    console.error(`SKIPPED: ${name}: no tokenizer.json in ${directory}`);
    continue;
  }
  const spec = options.variants ? JSON.parse(fs.readFileSync(`${directory}/tokenizer.json`, 'utf8')) : null;
  for (const [key, at] of spec ? variants(name, spec) : [[name, directory]]) {
    try {
      counts[key] = await compare(key, at, own ?? at);
    } catch (e) { // one of the two cannot read it: the other one should not either
      counts[key] = { texts: 0, wrong: 1, error: String(e.message ?? e).slice(0, 200) };
    }
    console.log(`${key}: ${JSON.stringify(counts[key])}`);
    if (spec) fs.rmSync(at, { recursive: true });
  }
}
console.log(JSON.stringify({ diff: 'tokenizer', counts }));
process.exit(Object.keys(counts).length === 0 ? 77 : Object.values(counts).some((c) => c.wrong) ? 1 : 0);
