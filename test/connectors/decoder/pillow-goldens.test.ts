import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { inflateSync } from "node:zlib";
import { openSharpDecoder } from "../../../connectors/decoder/libvips/libvips-decoder.js";
import { notesOf, planDecode } from "../../../operators/image/decode-plan.js";
import { joinNotes } from "../../../schemas/image-notes.js";
import type { ModelCard } from "../../../schemas/model-card.js";
import { ROOT } from "../../architecture/repository.js";
import { view } from "../../conformance/decoder.js";
import { ways } from "./ways.js";

/** Made by test/fixtures/pillow/make-goldens.py: what a training script in Python sees of the same file. */
interface Goldens {
  readonly cases: readonly Golden[];
  readonly blobs: readonly string[];
}
interface Golden {
  readonly group: string;
  readonly name: string;
  readonly file: string;
  /** Where the file and the pixels stand in `blobs` */
  readonly bytes: number;
  readonly pixels: number;
  readonly resize: Partial<ModelCard["resize"]>;
  readonly width: number;
  readonly height: number;
  readonly colour: "rgb" | "grey";
  readonly notes?: string;
}

const { cases, blobs } = JSON.parse(
  readFileSync(join(ROOT, "test", "fixtures", "pillow", "goldens.json"), "utf8"),
) as Goldens;
const blob = (at: number): Buffer => inflateSync(Buffer.from(blobs[at]!, "base64"));

/** Equal to the bit, but for these: OpenCV rounds its weights to 11 bits; libvips divides by the alpha that it is then multiplied with again. */
const WITHIN: Readonly<Record<string, number>> = { "not antialiased (OpenCV)": 1, "premultiplied.tif": 1 };

for (const way of ways) {
  describe(`pixels are those of Pillow and torchvision: ${way.name}`, { skip: way.skip }, () => {
    const decoder = openSharpDecoder({ turbojpeg: way.turbojpeg });
    for (const group of new Set(cases.map((one) => one.group))) {
      test(group, async () => {
        for (const one of cases.filter((each) => each.group === group)) {
          const bytes = blob(one.bytes);
          const header = await decoder.header(bytes);
          const { width, height, colour, resize } = one;
          const plan = planDecode(header, view(width, height, { colour }, { shrinkOnLoad: false, ...resize }));
          const { pixels, notes } = await decoder.decode(bytes, header, plan);
          const right = blob(one.pixels);
          assert.equal(pixels.length, right.length, one.name);
          const most = pixels.reduce((found, value, at) => Math.max(found, Math.abs(value - right[at]!)), 0);
          assert.ok(most <= (WITHIN[one.name] ?? WITHIN[group] ?? 0), `${one.name}: a value differs by ${most}`);
          const said = joinNotes([...notesOf(header, plan, `file:///${one.file}`), ...notes]);
          if (group === "formats") assert.equal(said, one.notes ?? null, one.name);
        }
      });
    }
  });
}
