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

/** Made by the scripts of test/fixtures/pillow: what a training script in Python sees of the same file. */
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

type Case = Golden & { readonly blob: (at: number) => Buffer };

const cases = ["goldens.json", "avif.json"].flatMap((file): Case[] => {
  const path = join(ROOT, "test", "fixtures", "pillow", file);
  const { cases: listed, blobs } = JSON.parse(readFileSync(path, "utf8")) as Goldens;
  return listed.map((one) => ({ ...one, blob: (at) => inflateSync(Buffer.from(blobs[at]!, "base64")) }));
});

/** Equal to the bit, but for these: OpenCV rounds its weights to 11 bits; libvips divides by the alpha that it is then multiplied with again. */
const WITHIN: Readonly<Record<string, number>> = {
  "not antialiased (OpenCV)": 1,
  "premultiplied.tif": 1,
  "AVIF, 4:4:4": 1,
};

for (const way of ways) {
  describe(`pixels are those of Pillow and torchvision: ${way.name}`, { skip: way.skip }, () => {
    const decoder = openSharpDecoder({ turbojpeg: way.turbojpeg });
    for (const group of new Set(cases.map((one) => one.group))) {
      test(group, async () => {
        for (const one of cases.filter((each) => each.group === group)) {
          const bytes = one.blob(one.bytes);
          const header = await decoder.header(bytes);
          const { width, height, colour, resize } = one;
          const plan = planDecode(header, view(width, height, { colour }, { shrinkOnLoad: false, ...resize }));
          const { pixels, notes } = await decoder.decode(bytes, header, plan);
          assert.deepEqual(bytes, one.blob(one.bytes), "the file's bytes stay as they are");
          const right = one.blob(one.pixels);
          assert.equal(pixels.length, right.length, one.name);
          const most = pixels.reduce((found, value, at) => Math.max(found, Math.abs(value - right[at]!)), 0);
          assert.ok(most <= (WITHIN[one.name] ?? WITHIN[group] ?? 0), `${one.name}: a value differs by ${most}`);
          const said = joinNotes([...notesOf(header, plan, `file:///${one.file}`), ...notes]);
          if (group === "formats" || group.startsWith("AVIF")) assert.equal(said, one.notes ?? null, one.name);
        }
      });
    }
  });
}

test("an AVIF with colours at half size is refused where its matrix is none of those known", async () => {
  const decoder = openSharpDecoder();
  const one = cases.find(({ name }) => name.startsWith("4:2:0 matrix 9 full"))!;
  const bytes = one.blob(one.bytes);
  const header = await decoder.header(bytes);
  const plan = planDecode(
    header,
    view(one.width, one.height, { colour: "rgb" }, { shrinkOnLoad: false, ...one.resize }),
  );
  // YCgCo, and a matrix that nobody has written down
  for (const matrix of [8, 77]) {
    bytes[bytes.indexOf("colrnclx") + 13] = matrix;
    await assert.rejects(decoder.decode(bytes, header, plan), {
      code: "E_IMAGE_CHROMA",
      message: new RegExp(`matrix ${matrix}\\b`),
    });
  }
});
