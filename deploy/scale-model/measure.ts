import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import sharp from "sharp";
import { packageFile } from "../../cli/package-root.js";
import { FOLDERS } from "../../pipelines/open/workspace.js";
import { runRecordSchema, type RunRecord } from "../../schemas/run-record.js";
import { predictLine, type Station } from "./model.js";

/** Decoders that each run has */
const DECODERS = 2;

export interface Measured {
  readonly workers: number;
  readonly imagesAS: number;
  /** Busy seconds of a place of the stage, an image */
  readonly decodeS: number;
  readonly scoreS: number;
  readonly archiveS: number;
}

export interface Validation {
  readonly workers: number;
  readonly measuredAS: number;
  readonly predictedAS: number;
  /** predicted / measured */
  readonly ratio: number;
  readonly limit: string;
}

/** Scores the same pictures with one engine worker and with two, and predicts both from what stages took with one. */
export async function measureAndValidate(
  teacher: string,
  images: number,
  cores: number,
  say: (line: string) => void,
): Promise<{ readonly costs: Measured; readonly validations: readonly Validation[] }> {
  const folder = await mkdtemp(join(tmpdir(), "sluice-scale-"));
  try {
    await makePictures(join(folder, "pictures"), images);
    const runs: Measured[] = [];
    for (const workers of [1, 2]) {
      const run = await ingestWith(folder, teacher, workers);
      say(`  ${workers} engine worker${workers === 1 ? "" : "s"}: ${run.imagesAS.toFixed(1)} a second`);
      runs.push(run);
    }
    const costs = runs[0]!;
    const validations = runs.map(({ workers, imagesAS }) => {
      const { imagesAS: predictedAS, limit } = predictLine(oneMachine(costs, workers, cores));
      return { workers, measuredAS: imagesAS, predictedAS, ratio: predictedAS / imagesAS, limit: limit.name };
    });
    return { costs, validations };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** One process of so many engine workers on a machine of so many cores. */
export function oneMachine({ decodeS, scoreS, archiveS }: Measured, workers: number, cores: number): Station[] {
  const station = (name: string, servers: number, demandS: number): Station => ({
    name,
    servers,
    demandS,
    mostAS: servers / demandS,
    add: name,
  });
  return [
    station("decoders", DECODERS, decodeS),
    station("engines", workers, scoreS),
    station("main thread", 1, archiveS),
    station("cores", cores, decodeS + scoreS + archiveS),
  ];
}

async function ingestWith(folder: string, teacher: string, workers: number): Promise<Measured> {
  const data = join(folder, `data-${workers}`);
  const args = [
    "ingest",
    "pictures",
    "--teacher",
    teacher,
    "--data",
    data,
    "--k",
    "5",
    "--p",
    "1",
    "--no-publish",
    "--workers",
    String(workers),
  ];
  await promisify(execFile)(
    process.execPath,
    [packageFile(join("dist", "cli", "main.js")), ...args, "--set", `decode.concurrency=${DECODERS}`, "--no-progress"],
    { cwd: folder },
  );
  return ofRun(await recordIn(join(data, FOLDERS.stages)), workers);
}

/** What the run wrote down of itself. */
async function recordIn(folder: string): Promise<RunRecord> {
  const [name] = (await readdir(folder)).filter((file) => file.endsWith(".json"));
  if (name === undefined) throw new TypeError(`expected what the run wrote down of itself in ${folder}, found nothing`);
  return runRecordSchema.parse(JSON.parse(await readFile(join(folder, name), "utf8")));
}

export function ofRun({ stages, counts }: Pick<RunRecord, "stages" | "counts">, workers: number): Measured {
  const { fromMs, untilMs, shares } = stages;
  const seconds = (untilMs - fromMs) / 1000;
  const anImage = seconds / counts.scored;
  return {
    workers,
    imagesAS: counts.scored / seconds,
    decodeS: (shares.decode + shares.fetch) * DECODERS * anImage,
    scoreS: shares.score * workers * anImage,
    archiveS: shares.archive * anImage,
  };
}

/** Photographs' size, and each another one */
async function makePictures(folder: string, count: number): Promise<void> {
  await mkdir(folder);
  for (let at = 0; at < count; at++) {
    const pixels = Uint8Array.from(
      { length: 32 * 24 * 3 },
      (_, byte) => (byte * 31 + at * 7919 * ((byte % 13) + 1)) % 256,
    );
    const picture = sharp(pixels, { raw: { width: 32, height: 24, channels: 3 } }).resize(500, 375, {
      kernel: "cubic",
    });
    await writeFile(join(folder, `${at}.jpg`), await picture.jpeg({ quality: 85 }).toBuffer());
  }
}
