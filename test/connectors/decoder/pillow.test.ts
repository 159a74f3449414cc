import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import sharp, { type Sharp } from "sharp";
import { openSharpDecoder } from "../../../connectors/decoder/sharp.js";
import { planDecode } from "../../../operators/pure/decode-plan.js";
import type { DecodePlan } from "../../../schemas/decode-plan.js";
import { view } from "../../conformance/decoder.js";
import { picture } from "../../fixtures/make-images.js";
import { ways } from "./ways.js";

/** A Python that has Pillow; `SLUICE_PYTHON` names another than the first in the path. */
const python = process.env.SLUICE_PYTHON ?? "python3";
const probe = spawnSync(python, ["-c", "import PIL; print(PIL.__version__)"], { encoding: "utf8" });
const skip = probe.status === 0 ? false : `${python} has no Pillow (set SLUICE_PYTHON to one that has)`;

/** Exactly what a training script in Python does: upright, Resize, CenterCrop. One job a line of standard input. */
const REFERENCE = `
import json, sys
from PIL import Image, ImageOps
kernels = {"nearest": Image.NEAREST, "linear": Image.BILINEAR, "cubic": Image.BICUBIC, "lanczos3": Image.LANCZOS}
for line in sys.stdin:
    job = json.loads(line)
    image = ImageOps.exif_transpose(Image.open(job["file"])).convert("RGB")
    if job["mode"] == "stretch":
        image = image.resize((job["width"], job["height"]), kernels[job["kernel"]])
    else:
        short, (w, h) = min(job["width"], job["height"]), image.size
        size = (short, int(short * h / w)) if w <= h else (int(short * w / h), short)
        image = image.resize(size, kernels[job["kernel"]])
        left = int(round((size[0] - job["width"]) / 2.0))
        top = int(round((size[1] - job["height"]) / 2.0))
        image = image.crop((left, top, left + job["width"], top + job["height"]))
    open(job["to"], "wb").write(image.tobytes())
`;

interface Case {
  readonly name: string;
  readonly size: readonly [number, number];
  readonly format: "jpeg" | "png";
  readonly kernel: "nearest" | "linear" | "cubic" | "lanczos3";
  readonly mode?: "crop" | "stretch";
  readonly orientation?: number;
  readonly shrinkOnLoad?: boolean;
  /** dB: the least likeness that docs/decisions/005-decoding.md promises */
  readonly psnr: number;
}

const CASES: readonly Case[] = [
  ...(["linear", "cubic", "lanczos3"] as const).flatMap((kernel): Case[] => [
    { name: "a photograph", size: [500, 375], format: "jpeg", kernel, psnr: 52 },
    { name: "a photograph on its side", size: [375, 500], format: "jpeg", kernel, orientation: 6, psnr: 52 },
    { name: "a lossless image", size: [500, 375], format: "png", kernel, psnr: 52 },
    { name: "an odd size", size: [333, 1000], format: "png", kernel, psnr: 52 },
    { name: "stretched", size: [301, 457], format: "png", kernel, mode: "stretch", psnr: 52 },
    { name: "made much smaller", size: [1200, 900], format: "png", kernel, psnr: 46 },
    { name: "loaded at a fraction", size: [1200, 900], format: "jpeg", kernel, shrinkOnLoad: true, psnr: 42 },
  ]),
  { name: "picked pixels", size: [448, 448], format: "png", kernel: "nearest", psnr: 99 },
];

describe("decoding is what Pillow and torchvision do", { skip }, () => {
  let folder = "";
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "sluice-pillow-"));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  for (const way of ways) {
    test(`within the stated likeness: ${way.name}`, { skip: way.skip }, () => likeness(way.turbojpeg));
  }

  async function likeness(turbojpeg: "auto" | "off"): Promise<void> {
    const decoder = openSharpDecoder({ concurrency: 2, turbojpeg });
    const jobs: string[] = [];
    const ours: { plan: DecodePlan; pixels: Uint8Array }[] = [];
    for (const [
      at,
      { size, format, kernel, mode = "crop", orientation = 1, shrinkOnLoad = false },
    ] of CASES.entries()) {
      const file = join(folder, `${at}.${format}`);
      const image = await photograph(...size, at + 1);
      const bytes = await image.withMetadata({ orientation }).toFormat(format, ENCODING[format]).toBuffer();
      await writeFile(file, bytes);
      const header = await decoder.header(bytes);
      const plan = planDecode(header, view(224, 224, {}, { kernel, mode, shrinkOnLoad }));
      ours.push({ plan, pixels: (await decoder.decode(bytes, header, plan)).pixels });
      jobs.push(JSON.stringify({ file, to: join(folder, `${at}.raw`), kernel, mode, width: 224, height: 224 }));
    }
    const run = spawnSync(python, ["-c", REFERENCE], { input: jobs.join("\n"), encoding: "utf8" });
    assert.equal(run.status, 0, run.stderr);
    for (const [at, { name, kernel, psnr }] of CASES.entries()) {
      const found = psnrOf(ours[at]!.pixels, await readFile(join(folder, `${at}.raw`)));
      assert.ok(found >= psnr, `${name}, ${kernel}: ${found.toFixed(1)} dB, at least ${psnr} promised`);
    }
  }
});

const ENCODING = { png: { compressionLevel: 1 }, jpeg: { quality: 92 } };

/** As sharp as a photograph is at its own size: a drawing of the size of a screen, enlarged. */
async function photograph(width: number, height: number, seed: number): Promise<Sharp> {
  const scale = Math.max(1, Math.max(width, height) / 500);
  const drawn = await picture(Math.round(width / scale), Math.round(height / scale), seed)
    .png(ENCODING.png)
    .toBuffer();
  return sharp(drawn).resize(width, height, { fit: "fill", kernel: "cubic" });
}

function psnrOf(a: Uint8Array, b: Uint8Array): number {
  assert.equal(a.length, b.length);
  let squares = 0;
  for (const [at, value] of a.entries()) squares += (value - b[at]!) ** 2;
  return squares === 0 ? 100 : 10 * Math.log10((255 * 255 * a.length) / squares);
}
