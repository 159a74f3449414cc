import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { startKafka } from "../../../deploy/local/kafka.js";
import { startMinio } from "../../../deploy/local/minio.js";
import { textOf } from "../../architecture/repository.js";
import { cannotStart } from "../../deploy/local/require-service.js";
import { eventually, makePictures, Process } from "../../fixtures/killed-processes.js";
import { writeSmallTeacher } from "../../fixtures/models.js";
import { pageExample } from "../../fixtures/page-example.js";
import { pythonWith } from "../../fixtures/python-with.js";
import { temporaryFolder } from "../../fixtures/temporary-folder.js";

const MAIN = join(import.meta.dirname, "../../../cli/main.js");

test(
  "the README's commands on Kafka and MinIO, line by line, end in a version",
  { skip: (await cannotStart("kafka")) || (await cannotStart("minio")) },
  async (t) => {
    const [kafka, minio] = await Promise.all([startKafka(), startMinio()]);
    t.after(() => Promise.all([kafka.stop(), minio.stop()]));
    const folder = await temporaryFolder(t);
    await writeSmallTeacher(join(folder, "teacher"), "onnx");
    await makePictures(join(folder, "photographs"), 12);
    const environment = { ...process.env, ...kafka.environment, ...minio.environment };
    const [, block] = /\n## On Kafka and MinIO\n[^]*?```sh\n([^]*?)```/.exec(textOf("README.md"))!;
    // The reader's model is a small one here, and a minute is three seconds.
    const lines = block!
      .trim()
      .split("\n")
      .map((line) => line.replace("model.onnx", "teacher").replace("60000", "3000"));
    const sluice = async (command: string): Promise<string> => {
      const line = `"${process.execPath}" "${MAIN}" ${command}`;
      return (await promisify(execFile)("sh", ["-c", line], { cwd: folder, env: environment })).stdout;
    };
    const said: string[] = [];
    for (const line of lines) {
      const [, command] = /^npx sluice ([^#]*)/.exec(line)!;
      if (command!.startsWith("run ")) {
        const all = new Process(line, [MAIN, ...command!.trim().split(/\s+/)], folder, environment);
        t.after(() => all.end("SIGKILL"));
        await eventually({ t, running: [all], withinMs: 180_000 }, async () =>
          /default +1 /.test(await sluice("versions list")) ? true : null,
        );
        assert.equal(await all.end("SIGINT"), 0, all.said);
      } else {
        said.push(await sluice(command!));
      }
    }
    assert.match(said.at(-1)!, /default +1 /);

    // And the program that the README leads to reads the version from the bucket.
    const found = await pythonWith("pyarrow", "26.0.1");
    if ("reason" in found) {
      process.stderr.write(`\n*** NOT TESTED: the example in Python: ${found.reason} ***\n\n`);
      return;
    }
    await writeFile(join(folder, "read-version.py"), await pageExample("read-version.py"));
    const { stdout } = await promisify(execFile)(found.python, ["read-version.py"], { cwd: folder, env: environment });
    const [, id, rows, images] = /^version \d+, (\w{12}): (\d+) rows, (\d+) images$/m.exec(stdout) ?? [];
    const shown = JSON.parse(await sluice("versions show latest --json")) as { id: string; totals: { rows: number } };
    assert.equal(id, shown.id.slice(0, 12), stdout);
    assert.deepEqual([Number(rows), Number(images)], [shown.totals.rows, shown.totals.rows]);
  },
);
