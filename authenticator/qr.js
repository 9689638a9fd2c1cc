// A small reader of QR codes (ISO/IEC 18004), for browsers without one of their own: versions 1 to 10, which is more than
// a pairing link needs.
//
//	picture ─► dark or light, against its surroundings ─► three finder patterns ─► grid ─► bits ─► corrected ─► text

/** read gives the text of the QR code in an ImageData, or "". */
export function read({ data, width, height }) {
  const dark = threshold(data, width, height);
  const at = (x, y) => x >= 0 && y >= 0 && x < width && y < height && dark[(y | 0) * width + (x | 0)];
  for (const corners of triples(finders(dark, width, height))) {
    for (const size of sizes(corners)) {
      for (const map of grids(at, corners, size)) {
        const text = decode(size, (x, y) => at(...map(x + 0.5, y + 0.5)) ? 1 : 0);
        if (text) return text;
      }
    }
  }
  return "";
}

/** threshold compares each point with the mean of the square around it, so that shadows and screens do no harm. */
function threshold(data, width, height) {
  const sums = new Float64Array((width + 1) * (height + 1));
  const grey = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0, row = 0; x < width; x++) {
      const i = y * width + x;
      grey[i] = (data[4 * i] * 77 + data[4 * i + 1] * 150 + data[4 * i + 2] * 29) >> 8;
      row += grey[i];
      sums[(y + 1) * (width + 1) + x + 1] = sums[y * (width + 1) + x + 1] + row;
    }
  }
  const half = Math.max(8, Math.max(width, height) >> 4);
  const dark = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    const top = Math.max(0, y - half), low = Math.min(height, y + half + 1);
    for (let x = 0; x < width; x++) {
      const left = Math.max(0, x - half), right = Math.min(width, x + half + 1);
      const sum = sums[low * (width + 1) + right] - sums[top * (width + 1) + right] - sums[low * (width + 1) + left] + sums[top * (width + 1) + left];
      dark[y * width + x] = grey[y * width + x] * (low - top) * (right - left) < sum * 0.93 ? 1 : 0;
    }
  }
  return dark;
}

/** proportion reports whether five runs are as 1:1:3:1:1, each within half a module. */
function proportion(runs) {
  const unit = (runs[0] + runs[1] + runs[2] + runs[3] + runs[4]) / 7;
  return unit >= 1 && [1, 1, 3, 1, 1].every((n, i) => Math.abs(runs[i] - n * unit) <= unit * (n === 3 ? 1.2 : 0.7)) ? unit : 0;
}

/** finders gives the middles of what looks like a finder pattern in both directions: {x, y, unit, seen}. */
function finders(dark, width, height) {
  const found = [];
  // cross measures the runs through a point along one direction, and gives the middle's offset.
  const cross = (x, y, dx, dy) => {
    const runs = [0, 0, 0, 0, 0];
    const is = (n) => { const px = x + dx * n, py = y + dy * n; return px < 0 || py < 0 || px >= width || py >= height ? -1 : dark[py * width + px]; };
    let up = 0, down = 1;
    for (const [run, want] of [[2, 1], [1, 0], [0, 1]]) while (is(-up) === want) { runs[run]++; up++; }
    for (const [run, want] of [[2, 1], [3, 0], [4, 1]]) while (is(down) === want) { runs[run]++; down++; }
    const unit = proportion(runs);
    return unit && { unit, offset: down - runs[4] - runs[3] - runs[2] / 2 - 0.5 };
  };
  for (let y = 0; y < height; y++) {
    const runs = [0, 0, 0, 0, 0];
    for (let x = 0, colour = 0; x <= width; x++) {
      const now = x < width ? dark[y * width + x] : 1 - colour;
      if (now === colour) { runs[4]++; continue; }
      if (colour === 1 && proportion(runs)) {
        const middle = Math.round(x - runs[4] - runs[3] - runs[2] / 2 - 0.5);
        const vertical = cross(middle, y, 0, 1);
        const cy = vertical && Math.round(y + vertical.offset);
        const level = vertical && cross(middle, cy, 1, 0);
        if (level) note(found, middle + level.offset + 0.5, y + vertical.offset + 0.5, (level.unit + vertical.unit) / 2);
      }
      runs.shift();
      runs.push(1);
      colour = now;
    }
  }
  return found.filter((f) => f.seen > 1).sort((a, b) => b.seen - a.seen).slice(0, 8);
}

function note(found, x, y, unit) {
  const same = found.find((f) => Math.hypot(f.x - x, f.y - y) < 3 * unit);
  if (!same) { found.push({ x, y, unit, seen: 1 }); return; }
  const n = same.seen++;
  same.x = (same.x * n + x) / (n + 1);
  same.y = (same.y * n + y) / (n + 1);
  same.unit = (same.unit * n + unit) / (n + 1);
}

/** triples gives what could be the three corners, likeliest first, as [top left, top right, bottom left]. */
function triples(found) {
  const out = [];
  for (let a = 0; a < found.length; a++) for (let b = 0; b < found.length; b++) for (let c = b + 1; c < found.length; c++) {
    if (a === b || a === c) continue;
    const [o, p, q] = [found[a], found[b], found[c]];
    const u = [p.x - o.x, p.y - o.y], v = [q.x - o.x, q.y - o.y];
    const lu = Math.hypot(...u), lv = Math.hypot(...v), turn = u[0] * v[1] - u[1] * v[0];
    const skew = Math.abs(u[0] * v[0] + u[1] * v[1]) / (lu * lv), uneven = Math.max(lu, lv) / Math.min(lu, lv);
    const units = [o.unit, p.unit, q.unit], spread = Math.max(...units) / Math.min(...units);
    if (skew > 0.5 || uneven > 1.7 || spread > 1.8) continue;
    out.push({ worth: skew + uneven + spread, corners: turn > 0 ? [o, p, q] : [o, q, p] });
  }
  return out.sort((a, b) => a.worth - b.worth).slice(0, 6).map((t) => t.corners);
}

/** sizes gives the likeliest numbers of modules along a side. */
function sizes([o, p, q]) {
  // Rows and columns cut a turned symbol aslant, so that its modules look longer than they are.
  const turn = Math.atan2(p.y - o.y, p.x - o.x);
  const unit = (o.unit + p.unit + q.unit) / 3 * Math.max(Math.abs(Math.cos(turn)), Math.abs(Math.sin(turn)));
  const guess = ((Math.hypot(p.x - o.x, p.y - o.y) + Math.hypot(q.x - o.x, q.y - o.y)) / 2 / unit + 7 - 17) / 4;
  const near = Math.round(guess);
  return [near, guess > near ? near + 1 : near - 1, guess > near ? near - 1 : near + 1].filter((v) => v >= 1 && v <= 10).map((v) => 17 + 4 * v);
}

/** grids gives mappings from modules to the picture: through the alignment pattern where it is found, else a parallelogram. */
function grids(at, [o, p, q], size) {
  const far = size - 3.5;
  const flat = { x: p.x + q.x - o.x, y: p.y + q.y - o.y };
  const plain = perspective([[3.5, 3.5, o], [far, 3.5, p], [3.5, far, q], [far, far, flat]]);
  if (size < 25) return [plain];
  const near = size - 6.5, unit = (o.unit + p.unit + q.unit) / 3;
  const [gx, gy] = plain(near, near);
  const ux = [(p.x - o.x) / (size - 7), (p.y - o.y) / (size - 7)], uy = [(q.x - o.x) / (size - 7), (q.y - o.y) / (size - 7)];
  let best = { worth: 0 };
  const reach = Math.ceil(unit * 5), step = Math.max(1, unit / 4);
  for (let dy = -reach; dy <= reach; dy += step) for (let dx = -reach; dx <= reach; dx += step) {
    let worth = -Math.hypot(dx, dy) / reach;
    for (let j = -2; j <= 2; j++) for (let i = -2; i <= 2; i++) {
      const want = Math.max(Math.abs(i), Math.abs(j)) !== 1;
      if (Boolean(at(gx + dx + i * ux[0] + j * uy[0], gy + dy + i * ux[1] + j * uy[1])) === want) worth++;
    }
    if (worth > best.worth) best = { worth, x: gx + dx, y: gy + dy };
  }
  return best.worth > 19 ? [perspective([[3.5, 3.5, o], [far, 3.5, p], [3.5, far, q], [near, near, best]]), plain] : [plain];
}

/** perspective solves for the mapping that takes four points of the grid to four of the picture. */
function perspective(points) {
  const rows = points.flatMap(([u, v, { x, y }]) => [[u, v, 1, 0, 0, 0, -u * x, -v * x, x], [0, 0, 0, u, v, 1, -u * y, -v * y, y]]);
  for (let i = 0; i < 8; i++) {
    const pivot = rows.slice(i).reduce((best, row, k) => Math.abs(row[i]) > Math.abs(rows[best][i]) ? i + k : best, i);
    [rows[i], rows[pivot]] = [rows[pivot], rows[i]];
    for (let k = 0; k < 8; k++) {
      if (k === i) continue;
      const f = rows[k][i] / rows[i][i];
      for (let c = i; c < 9; c++) rows[k][c] -= f * rows[i][c];
    }
  }
  const m = rows.map((row, i) => row[8] / row[i]);
  return (u, v) => {
    const w = m[6] * u + m[7] * v + 1;
    return [(m[0] * u + m[1] * v + m[2]) / w, (m[3] * u + m[4] * v + m[5]) / w];
  };
}

// Tables 7 and 9 of the standard, by level L, M, Q, H and version: correction codewords a block, and blocks.
const correction = [[7, 10, 15, 20, 26, 18, 20, 24, 30, 18], [10, 16, 26, 18, 24, 16, 18, 22, 22, 26], [13, 22, 18, 26, 18, 24, 18, 22, 20, 24], [17, 28, 22, 16, 22, 28, 26, 26, 24, 28]];
const blocks = [[1, 1, 1, 1, 1, 2, 2, 2, 2, 4], [1, 1, 1, 2, 2, 4, 4, 4, 5, 5], [1, 1, 2, 2, 4, 4, 6, 6, 8, 8], [1, 1, 2, 4, 4, 4, 5, 6, 8, 8]];
const masks = [(x, y) => (x + y) % 2, (x, y) => y % 2, (x) => x % 3, (x, y) => (x + y) % 3, (x, y) => ((x / 3 | 0) + (y >> 1)) % 2,
  (x, y) => x * y % 2 + x * y % 3, (x, y) => (x * y % 2 + x * y % 3) % 2, (x, y) => ((x + y) % 2 + x * y % 3) % 2];

/** format reads level and mask, from whichever of the two copies is nearer to a valid one (annex C). */
function format(size, bit) {
  const one = [[0, 8], [1, 8], [2, 8], [3, 8], [4, 8], [5, 8], [7, 8], [8, 8], [8, 7], [8, 5], [8, 4], [8, 3], [8, 2], [8, 1], [8, 0]];
  const two = [[8, size - 1], [8, size - 2], [8, size - 3], [8, size - 4], [8, size - 5], [8, size - 6], [8, size - 7],
    [size - 8, 8], [size - 7, 8], [size - 6, 8], [size - 5, 8], [size - 4, 8], [size - 3, 8], [size - 2, 8], [size - 1, 8]];
  let best = { off: 4 };
  for (const places of [one, two]) {
    const have = places.reduce((sum, [x, y]) => sum << 1 | bit(x, y), 0);
    for (let value = 0; value < 32; value++) {
      let rest = value << 10;
      for (let i = 14; i >= 10; i--) if (rest >> i & 1) rest ^= 0x537 << (i - 10);
      let off = 0;
      for (let diff = have ^ ((value << 10 | rest) ^ 0x5412); diff; diff &= diff - 1) off++;
      if (off < best.off) best = { off, level: [1, 0, 3, 2][value >> 3], mask: value & 7 };
    }
  }
  return best.off < 4 ? best : null;
}

/** decode reads the symbol whose modules bit gives; "" where it is none. */
function decode(size, bit) {
  const version = (size - 17) / 4, kind = format(size, bit);
  if (!kind) return "";
  const centres = version === 1 ? [] : version < 7 ? [6, size - 7] : [6, 2 * version + 8, size - 7];
  const fixed = (x, y) => x === 6 || y === 6 || (x < 9 && y < 9) || (x > size - 9 && y < 9) || (x < 9 && y > size - 9) ||
    (version > 6 && ((x > size - 12 && y < 6) || (y > size - 12 && x < 6))) ||
    centres.some((cx) => centres.some((cy) => Math.abs(x - cx) < 3 && Math.abs(y - cy) < 3 &&
      !(cx === 6 && cy === 6) && !(cx === 6 && cy === size - 7) && !(cx === size - 7 && cy === 6)));
  const words = [];
  let word = 0, count = 0;
  for (let right = size - 1, up = true; right > 0; right -= 2, up = !up) {
    if (right === 6) right = 5;
    for (let n = 0; n < size; n++) for (const x of [right, right - 1]) {
      const y = up ? size - 1 - n : n;
      if (fixed(x, y)) continue;
      word = word << 1 | (bit(x, y) ^ (masks[kind.mask](x, y) === 0 ? 1 : 0));
      if (++count % 8 === 0) { words.push(word); word = 0; }
    }
  }
  const bytes = unite(words, blocks[kind.level][version - 1], correction[kind.level][version - 1]);
  return bytes ? message(bytes, version) : "";
}

/** unite takes the interleaved blocks apart, corrects each, and puts their data together. */
function unite(words, count, extra) {
  const short = Math.floor(words.length / count) - extra, long = words.length % count;
  const parts = Array.from({ length: count }, () => []);
  let at = 0;
  for (let i = 0; i <= short; i++) for (let b = 0; b < count; b++) if (i < short || b >= count - long) parts[b].push(words[at++]);
  for (let i = 0; i < extra; i++) for (let b = 0; b < count; b++) parts[b].push(words[at++]);
  const out = [];
  for (const part of parts) {
    if (!correct(part, extra)) return null;
    out.push(...part.slice(0, -extra));
  }
  return out;
}

const exp = new Uint8Array(510), log = new Uint8Array(256);
for (let i = 0, v = 1; i < 255; i++, v = v << 1 ^ (v > 127 ? 0x11d : 0)) { exp[i] = exp[i + 255] = v; log[v] = i; }
const times = (a, b) => a && b ? exp[log[a] + log[b]] : 0;
const over = (a, b) => a ? exp[log[a] + 255 - log[b]] : 0;
const value = (poly, x) => poly.reduceRight((sum, c) => times(sum, x) ^ c, 0); // lowest first

/** correct mends a Reed–Solomon block in place (Berlekamp–Massey, Forney); false where there is too much wrong. */
function correct(block, extra) {
  const high = block.slice().reverse();
  const syndromes = Array.from({ length: extra }, (_, i) => value(high, exp[i]));
  if (syndromes.every((s) => s === 0)) return true;
  let locator = [1], last = [1], length = 0, gap = 1, scale = 1;
  for (let n = 0; n < extra; n++) {
    let d = syndromes[n];
    for (let i = 1; i <= length; i++) d ^= times(locator[i] ?? 0, syndromes[n - i]);
    if (d === 0) { gap++; continue; }
    const next = locator.slice(), f = over(d, scale);
    last.forEach((c, i) => { next[i + gap] = (next[i + gap] ?? 0) ^ times(f, c); });
    for (let i = 0; i < next.length; i++) next[i] ??= 0;
    if (2 * length <= n) { last = locator; scale = d; length = n + 1 - length; gap = 1; } else gap++;
    locator = next;
  }
  if (2 * length > extra) return false;
  const evaluator = Array.from({ length: extra }, (_, n) => locator.reduce((sum, c, i) => i <= n ? sum ^ times(c, syndromes[n - i]) : sum, 0)).slice(0, length);
  let mended = 0;
  for (let i = 0; i < block.length; i++) {
    const inverse = exp[(255 - i) % 255];
    if (value(locator, inverse) !== 0) continue;
    let slope = 0;
    for (let k = 1; k < locator.length; k += 2) slope ^= times(locator[k], exp[log[inverse] * (k - 1) % 255]);
    if (slope === 0) return false;
    block[block.length - 1 - i] ^= times(exp[i], over(value(evaluator, inverse), slope));
    mended++;
  }
  return mended === length;
}

const letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";

/** message reads the segments (clause 7.4): digits, letters, bytes. */
function message(bytes, version) {
  let at = 0;
  const take = (n) => { let v = 0; for (; n > 0; n--, at++) v = v << 1 | ((bytes[at >> 3] ?? 0) >> (7 - at % 8) & 1); return v; };
  const wide = version > 9, raw = [];
  const put = (text) => { for (const c of text) raw.push(c.charCodeAt(0)); };
  while (bytes.length * 8 - at >= 4) {
    const mode = take(4);
    if (mode === 0) break;
    if (mode === 1) for (let n = take(wide ? 12 : 10); n > 0; n -= 3) put(String(take(n > 2 ? 10 : n === 2 ? 7 : 4)).padStart(Math.min(n, 3), "0"));
    else if (mode === 2) for (let n = take(wide ? 11 : 9); n > 0; n -= 2) { const v = take(n > 1 ? 11 : 6); put(n > 1 ? letters[v / 45 | 0] + letters[v % 45] : letters[v]); }
    else if (mode === 4) for (let n = take(wide ? 16 : 8); n > 0; n--) raw.push(take(8));
    else if (mode === 7) take(8); // a character set: UTF-8 in practice
    else return "";
  }
  return new TextDecoder().decode(new Uint8Array(raw));
}
