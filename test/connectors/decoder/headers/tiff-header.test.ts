import assert from "node:assert/strict";
import { test } from "node:test";
import { readImageHeader } from "../../../../connectors/decoder/headers/image-header.js";
import { sniff } from "../../../../connectors/decoder/headers/sniff.js";
import type { ImageHeader } from "../../../../schemas/decode-plan.js";
import { isSluiceError } from "../../../../schemas/errors.js";

type Tags = Readonly<Record<number, readonly number[]>>;

/** A TIFF of LONG fields: the directories follow one another, those below stand in SubIFDs of the first. No pixels. */
function tiff(chain: readonly Tags[], below: readonly Tags[] = []): Buffer {
  const sizeOf = (tags: Tags, extra: number): number => 2 + 12 * (Object.keys(tags).length + extra) + 4;
  const all = [...chain, ...below];
  const places: number[] = [];
  let end = 8;
  for (const [at, tags] of all.entries()) {
    places.push(end);
    end += sizeOf(tags, at === 0 && below.length > 0 ? 1 : 0);
  }
  const out = Buffer.alloc(end + 4096);
  out.write("II*\0\x08\0\0\0", "latin1");
  for (const [at, tags] of all.entries()) {
    const entries: [number, readonly number[]][] = Object.entries(tags).map(([tag, values]) => [Number(tag), values]);
    if (at === 0 && below.length > 0) entries.push([330, places.slice(chain.length)]);
    let to = places[at]!;
    out.writeUInt16LE(entries.length, to);
    to += 2;
    for (const [tag, values] of entries.sort(([a], [b]) => a - b)) {
      out.writeUInt16LE(tag, to);
      out.writeUInt16LE(4, to + 2);
      out.writeUInt32LE(values.length, to + 4);
      if (values.length === 1) out.writeUInt32LE(values[0]!, to + 8);
      else {
        out.writeUInt32LE(end, to + 8);
        for (const value of values) {
          out.writeUInt32LE(value, end);
          end += 4;
        }
      }
      to += 12;
    }
    out.writeUInt32LE(at + 1 < chain.length ? places[at + 1]! : 0, to);
  }
  return out.subarray(0, end);
}

const RGB: Tags = { 256: [64], 257: [48], 258: [8, 8, 8], 259: [1], 262: [2], 277: [3] };

async function read(...parts: Parameters<typeof tiff>): Promise<ImageHeader> {
  return readImageHeader(tiff(...parts));
}

async function refusalOf(...parts: Parameters<typeof tiff>): Promise<string> {
  try {
    await read(...parts);
    return "";
  } catch (error) {
    if (!isSluiceError(error)) throw error;
    return `${error.code} ${error.message}`;
  }
}

test("camera raw is refused as such, however it is marked", async () => {
  const sensor: Tags = { 254: [0], 256: [320], 257: [240], 258: [16], 262: [32803], 277: [1] };
  const kinds: readonly (readonly [string, readonly Tags[], readonly Tags[]])[] = [
    ["a sensor's image below a thumbnail", [{ ...RGB, 254: [1] }], [sensor]],
    ["DNG's own mark", [{ ...RGB, 50706: [1] }], []],
    ["a sensor's image in the first place", [sensor], []],
    ["a sensor's image behind a thumbnail", [RGB, sensor], []],
    ["a maker's packing", [RGB], [{ ...sensor, 262: [2], 259: [34713] }]],
    ["a thumbnail of something else", [{ ...RGB, 254: [1] }], [{ ...RGB, 256: [640] }]],
  ];
  for (const [what, chain, below] of kinds)
    assert.match(await refusalOf(chain, below), /^E_IMAGE_FORMAT .*camera raw/, what);
  for (const start of [
    "FUJIFILMCCD-RAW 0201",
    "IIRO\x08\0\0\0",
    "IIU\0\x18\0\0\0",
    "\0\0\0\x18ftypcrx \0\0\0\x01crx isom",
  ]) {
    assert.deepEqual(sniff(Buffer.from(start, "latin1")), {
      refused: "camera raw",
      advice: "develop it to JPEG or PNG",
    });
  }
});

test("what no one scale fits is refused by its depth, other colours by their kind", async () => {
  assert.match(await refusalOf([{ ...RGB, 339: [3, 3, 3], 258: [32, 32, 32] }]), /^E_IMAGE_DEPTH .*floating-point/);
  assert.match(await refusalOf([{ ...RGB, 339: [2, 2, 2] }]), /^E_IMAGE_DEPTH .*signed/);
  assert.match(await refusalOf([{ ...RGB, 258: [12, 12, 12] }]), /^E_IMAGE_DEPTH .*12 bits/);
  assert.match(await refusalOf([{ ...RGB, 262: [8] }]), /^E_IMAGE_FORMAT .*Lab/);
  assert.match(await refusalOf([{ ...RGB, 262: [6] }]), /^E_IMAGE_FORMAT .*YCbCr/);
  assert.match(await refusalOf([{ ...RGB, 259: [50000] }]), /^E_IMAGE_FORMAT .*packed by Zstandard\. Pack it as LZW/);
  assert.match(await refusalOf([{ ...RGB, 277: [2], 258: [8, 8] }]), /^E_IMAGE_CORRUPT /);
});

test("pages are counted, smaller versions and masks of one are not, and a circle of directories ends", async () => {
  const frames = async (...chain: Tags[]): Promise<number> => (await read(chain)).frames;
  assert.equal(await frames(RGB, RGB, RGB), 3);
  assert.equal(await frames(RGB, { ...RGB, 254: [1], 256: [32] }, { ...RGB, 254: [4] }), 1);
  const circle = tiff([RGB]);
  circle.writeUInt32LE(8, 8 + 2 + 12 * Object.keys(RGB).length);
  assert.equal((await readImageHeader(circle)).frames, 1);
});

test("channels beyond the colours are alpha only where the file says so", async () => {
  const four: Tags = { ...RGB, 258: [8, 8, 8, 8], 277: [4] };
  const extra = async (tags: Tags): Promise<unknown> => (await read([tags])).extraChannels;
  assert.equal(await extra(RGB), undefined);
  assert.equal(await extra(four), "other");
  assert.equal(await extra({ ...four, 338: [0] }), "other");
  assert.equal(await extra({ ...four, 338: [1] }), "alpha");
  assert.equal(await extra({ ...four, 338: [2] }), "alpha");
});
