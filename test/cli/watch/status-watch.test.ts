import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { after, before, describe, test, type TestContext } from "node:test";
import { missingPrograms } from "../../../deploy/local/command.js";
import { CommandFolder } from "../../fixtures/command-folder.js";
import { until } from "../../fixtures/scraped.js";

const MAIN = join(import.meta.dirname, "..", "..", "..", "cli", "main.js");
const ENTER = "\x1b[?1049h";
const LEAVE = "\x1b[?25h\x1b[?1049l";

/** A command on a pseudo-terminal, which script(1) makes; `said` is what the terminal got. */
interface OnTerminal {
  readonly child: ChildProcess;
  said: string;
}

describe("sluice status --watch", () => {
  let place: CommandFolder;
  before(async () => {
    place = await CommandFolder.make({ images: 12 });
    await place.ingest("--teacher", "teacher");
  });
  after(() => place.remove());

  async function onTerminal(t: TestContext, command: string): Promise<OnTerminal | null> {
    if ((await missingPrograms(["script"])).length > 0) {
      process.stderr.write("\n*** NOT TESTED: a terminal is made by script(1), not installed here ***\n\n");
      t.skip("a terminal is made by script(1), not installed here");
      return null;
    }
    const child = spawn("script", ["-qefc", command, "/dev/null"], {
      cwd: place.path,
      env: { PATH: process.env["PATH"], HOME: place.path, TERM: "xterm" },
      stdio: ["pipe", "pipe", "inherit"],
    });
    t.after(() => child.kill("SIGKILL"));
    const made: OnTerminal = { child, said: "" };
    child.stdout.on("data", (chunk: Buffer) => (made.said += chunk.toString()));
    return made;
  }

  const watching = `'${process.execPath}' '${MAIN}' status --watch --interval 1s`;

  test("takes the whole screen, and q gives it back as it was", async (t) => {
    const made = await onTerminal(t, watching);
    if (made === null) return;
    await until(() => (/of 10 classes full/.test(made.said) ? true : null), "the first look");
    assert.ok(made.said.includes(ENTER));
    assert.ok(!made.said.includes(LEAVE));
    assert.match(made.said, /archived +12/);
    assert.match(made.said, /q quits/);
    made.child.stdin!.write("q");
    const [code] = (await once(made.child, "close")) as [number];
    assert.equal(code, 0);
    assert.ok(made.said.trimEnd().endsWith(LEAVE), JSON.stringify(made.said.slice(-40)));
  });

  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    test(`${signal} gives the screen back too`, async (t) => {
      const made = await onTerminal(t, `echo pid $$; exec ${watching}`);
      if (made === null) return;
      await until(() => (/of 10 classes full/.test(made.said) ? true : null), "the first look");
      process.kill(Number(/pid (\d+)/.exec(made.said)![1]), signal);
      await once(made.child, "close");
      assert.ok(made.said.trimEnd().endsWith(LEAVE), JSON.stringify(made.said.slice(-40)));
    });
  }

  test("without a terminal it is a line each time, with --json an object", async () => {
    const child = spawn(process.execPath, [MAIN, "status", "--watch", "--interval", "1s", "--json"], {
      cwd: place.path,
      stdio: ["ignore", "pipe", "inherit"],
    });
    let said = "";
    child.stdout.on("data", (chunk: Buffer) => (said += chunk.toString()));
    await until(() => (said.split("\n").length > 2 ? true : null), "two looks");
    child.kill("SIGTERM");
    const [code] = (await once(child, "close")) as [number];
    assert.equal(code, 0);
    const looks = said
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as { archived: number; perSecond: number | null });
    assert.deepEqual([looks[0]!.archived, looks[0]!.perSecond, looks[1]!.perSecond], [12, null, 0]);
  });
});
