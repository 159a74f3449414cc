import assert from "node:assert/strict";
import fc from "fast-check";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { assignmentOverride, flagOverride } from "../../cli/config/override.js";
import { loadConfig, type ConfigRequest, type LoadedConfig } from "../../cli/load-config.js";
import { configSchema } from "../../schemas/config.js";
import { isSluiceError, SluiceError } from "../../schemas/errors.js";

async function temporaryFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "sluice-config-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

async function load(folder: string, yaml: string | null, rest: Partial<ConfigRequest> = {}): Promise<LoadedConfig> {
  if (yaml !== null) await writeFile(join(folder, "sluice.yaml"), yaml);
  return loadConfig({ file: null, folder, environment: {}, flags: [], ...rest });
}

/** The lines of the refusal, without the excerpts. */
async function problems(folder: string, yaml: string | null, rest: Partial<ConfigRequest> = {}): Promise<string[]> {
  const error = await load(folder, yaml, rest).then(
    () => assert.fail("expected a refusal"),
    (thrown: unknown) => thrown,
  );
  assert.ok(isSluiceError(error, "E_CONFIG"), String(error));
  return error.message
    .split("\n")
    .slice(1)
    .filter((line) => !/^ +(\d+ )?\| /.test(line));
}

test("without a file the defaults hold, with the data folder made absolute", async (t) => {
  const folder = await temporaryFolder(t);
  const { config, file } = await load(folder, null);
  assert.equal(file, null);
  assert.deepEqual(config, { ...configSchema.parse({}), data: join(folder, "sluice-data") });
});

test("flags win over the environment, which wins over the file", async (t) => {
  const folder = await temporaryFolder(t);
  const yaml = "engine:\n  batch: 1\n  threads: 1\n  maxDelayMs: 1\n";
  const environment = {
    SLUICE_ENGINE__THREADS: "2",
    SLUICE_ENGINE__MAX_DELAY_MS: "2",
    PATH: "/bin",
    SLUICE_DEBUG: "1",
  };
  const flags = [assignmentOverride("engine.maxDelayMs=3")];
  const { config } = await load(folder, yaml, { environment, flags });
  assert.deepEqual([config.engine.batch, config.engine.threads, config.engine.maxDelayMs], [1, 2, 3]);
});

test("paths in the file are relative to the file, others to the current folder", async (t) => {
  const folder = await temporaryFolder(t);
  const file = join(folder, "other.yaml");
  await writeFile(file, "data: d\nteacher: t.onnx\n");
  const from = (environment: Record<string, string>): Promise<LoadedConfig> =>
    loadConfig({ file, folder: "/elsewhere", environment, flags: [] });
  const { config } = await from({});
  assert.deepEqual([config.data, config.teacher], [join(folder, "d"), join(folder, "t.onnx")]);
  const { config: overridden } = await from({ SLUICE_TEACHER: "u.onnx" });
  assert.deepEqual([overridden.data, overridden.teacher], [join(folder, "d"), "/elsewhere/u.onnx"]);
});

test("values from text take the type of their setting", async (t) => {
  const folder = await temporaryFolder(t);
  const environment = {
    SLUICE_STREAM: "2026",
    SLUICE_ENGINE__ALLOW_FALLBACK: "true",
    SLUICE_DATASETS__0__SELECT__FLOOR: "2.5e-1",
    SLUICE_TEACHER: "",
    SLUICE_DATASETS__0__WINDOW: '{"kind": "global", "startMs": 5}',
  };
  const { config } = await load(folder, null, { environment, flags: [assignmentOverride("datasets[0].select.k=7")] });
  assert.equal(config.stream, "2026");
  assert.equal(config.engine.allowFallback, true);
  assert.equal(config.teacher, undefined);
  const [dataset] = config.datasets;
  assert.deepEqual(
    [dataset?.name, dataset?.select.k, dataset?.select.floor, dataset?.window],
    ["default", 7, 0.25, { kind: "global", startMs: 5 }],
  );
});

test("every problem is reported at once, at its place", async (t) => {
  const folder = await temporaryFolder(t);
  const yaml = `# comment
engin:
  batch: 3
engine:
  kind: onx
  wokers: 2
  batch: "3"
partitions: 0
stream: "a b"
datasets:
  - name: A
    select:
      k: 0
      floor: 1
  - name: x
    window: { kind: glob }
  - select: { p: 1.5 }
bytes:
`;
  const environment = { SLUICE_ENGINE__MAX_DELAY_MS: "-1", SLUICE_ENGIN__BATCH: "3", SLUICE_DATASETS__7__NAME: "q" };
  const flags = [
    assignmentOverride("datasets[0].select.kk=3"),
    flagOverride("--workers", ["engine", "workers"], "many"),
  ];
  const found = await problems(folder, yaml, { environment, flags });
  const shortened = found.map((line) => line.replace(/(window\.kind: expected one of ).*(, found)/, "$1…$2"));
  assert.deepEqual(shortened, [
    "SLUICE_ENGIN__BATCH: no such setting, did you mean SLUICE_ENGINE__BATCH?",
    "--set datasets[0].select.kk=3: no such setting, did you mean datasets[0].select.k?",
    "SLUICE_DATASETS__7__NAME datasets[7].name: expected one of the 3 declared in datasets (counted from 0), found 7",
    '--workers engine.workers: expected a whole number above 0, found "many"',
    "SLUICE_ENGINE__MAX_DELAY_MS engine.maxDelayMs: expected a whole number of at least 0, found -1",
    "sluice.yaml:2:1 engin: no such setting, did you mean engine?",
    'sluice.yaml:5:9 engine.kind: expected one of auto, onnx, tfjs, found "onx"',
    "sluice.yaml:6:3 engine.wokers: no such setting, did you mean workers?",
    'sluice.yaml:7:10 engine.batch: expected a whole number above 0 or auto, found "3"',
    "sluice.yaml:8:13 partitions: expected a whole number above 0 and at most 65536, found 0",
    'sluice.yaml:9:9 stream: expected letters, digits, dot, dash, underscore; at most 100, found "a b"',
    'sluice.yaml:11:11 datasets[0].name: expected lower-case letters, digits, dot, dash, underscore; at most 63, found "A"',
    "sluice.yaml:13:10 datasets[0].select.k: expected a whole number above 0, found 0",
    "sluice.yaml:14:14 datasets[0].select.floor: expected a number of at least 0 and below 1, found 1",
    'sluice.yaml:16:21 datasets[1].window.kind: expected one of …, found "glob"',
    "sluice.yaml:17:5 datasets[2].name: expected text, found nothing",
    "sluice.yaml:17:18 datasets[2].select.p: expected a whole number above 0, found 1.5",
    "sluice.yaml:18:1 bytes: expected one of refer, keep, found an empty value",
  ]);
});

test("variables of others are left alone, slips and paths that lead nowhere are not", async (t) => {
  const folder = await temporaryFolder(t);
  const others = { SLUICE_CACHE: "/cache", SLUICE_PYTHON: "python3", SLUICE_BUILD: "x", SLUICE_HOME_OF_THINGS: "y" };
  assert.equal((await load(folder, null, { environment: others })).config.stream, "images");
  const slips = { ...others, SLUICE_TEECHER: "m", SLUICE_FOO__BAR: "1" };
  const [nowhere, slip, ...rest] = await problems(folder, null, { environment: slips });
  assert.match(nowhere!, /^SLUICE_FOO__BAR: no such setting: the configuration has data, stream, /);
  assert.equal(slip, "SLUICE_TEECHER: no such setting, did you mean SLUICE_TEACHER?");
  assert.deepEqual(rest, []);
});

test("of a setting that takes several forms, the form that was meant is judged", async (t) => {
  const folder = await temporaryFolder(t);
  const k = (value: string): Promise<string[]> =>
    problems(folder, `datasets: [{ name: a, select: { k: ${value} } }]\n`);
  assert.deepEqual(await k("many"), [
    'sluice.yaml:1:36 datasets[0].select.k: expected a whole number above 0 or a mapping (name: value), found "many"',
  ]);
  assert.deepEqual(await k("{ default: 0, classes: { cat: 5 } }"), [
    "sluice.yaml:1:47 datasets[0].select.k.default: expected a whole number above 0, found 0",
  ]);
  assert.deepEqual(await k("{ default: 5, classes: { cat: -1 } }"), [
    "sluice.yaml:1:66 datasets[0].select.k.classes.cat: expected a whole number above 0, found -1",
  ]);
  assert.deepEqual(await k("{ share: 0.1 }"), [
    "sluice.yaml:1:36 datasets[0].select.k.most: expected a whole number above 0, found nothing",
  ]);
});

test("class names that YAML takes for numbers or truth values are asked for in quotes", async (t) => {
  const folder = await temporaryFolder(t);
  const merged = (members: string): Promise<string[]> =>
    problems(folder, `datasets: [{ name: a, select: { labels: { pets: [${members}] } } }]\n`);
  assert.deepEqual(await merged("no, 7, true"), [
    "sluice.yaml:1:54 datasets[0].select.labels.pets[1]: expected text, found 7; in quotes it is text",
    "sluice.yaml:1:57 datasets[0].select.labels.pets[2]: expected text, found true; in quotes it is text",
  ]);
  assert.deepEqual(
    (await load(folder, 'datasets: [{ name: a, select: { labels: { pets: [no, "7", "true"] } } }]\n')).config
      .datasets[0]?.select.labels,
    {
      pets: ["no", "7", "true"],
    },
  );
});

test("free names can be set by flags, and by variables as a whole", async (t) => {
  const folder = await temporaryFolder(t);
  const flags = [assignmentOverride("datasets[0].select.labels.pets=[cat, dog]")];
  const environment = { SLUICE_DATASETS__0__SELECT__K: "{default: 5, classes: {cat: 7}}" };
  const { config } = await load(folder, null, { flags, environment });
  assert.deepEqual(config.datasets[0]?.select.labels, { pets: ["cat", "dog"] });
  assert.deepEqual(config.datasets[0].select.k, { default: 5, classes: { cat: 7 } });
  const [problem] = await problems(folder, null, {
    environment: { SLUICE_DATASETS__0__SELECT__LABELS__PETS: "[cat]" },
  });
  assert.match(problem!, /datasets\[0\]\.select\.labels has names of its own: give it whole/);
});

test("the excerpt shows the line with a mark under the value", async (t) => {
  const folder = await temporaryFolder(t);
  await assert.rejects(load(folder, "engine:\n  batch: 0\n"), {
    message:
      "1 problem in the configuration\n" +
      "sluice.yaml:2:10 engine.batch: expected a whole number above 0, found 0\n" +
      "     2 |   batch: 0\n" +
      "       |          ^",
  });
});

test("what must hold between settings is refused where it is written", async (t) => {
  const folder = await temporaryFolder(t);
  const yaml =
    "archive: { topM: 5 }\ndatasets:\n  - name: a\n    select: { p: 6 }\n  - { name: a, select: { p: 5 } }\n";
  assert.deepEqual(await problems(folder, yaml), [
    "sluice.yaml:4:18 datasets[0].select.p: expected at most archive.topM (5), found 6",
    'sluice.yaml:5:13 datasets[1].name: expected a name that no other dataset has, found "a" again',
  ]);
});

test("what is no YAML, no mapping or no file is said so", async (t) => {
  const folder = await temporaryFolder(t);
  assert.match((await problems(folder, "engine: {batch: 3\ndata: x\n"))[0]!, /^sluice\.yaml:\d+:\d+: not valid YAML: /);
  assert.match((await problems(folder, "data: a\ndata: b\n"))[0]!, /^sluice\.yaml:2:1: not valid YAML: .*unique/);
  assert.deepEqual(await problems(folder, "- a\n"), [
    "sluice.yaml:1:1: expected a mapping (name: value), found a list",
  ]);
  assert.deepEqual((await load(folder, "")).config.partitions, 1);
  assert.deepEqual((await load(folder, "engine:\n  # threads: 3\n")).config.engine.threads, 1);
  await assert.rejects(load(folder, null, { file: "absent.yaml" }), /Expected a configuration file at .*absent\.yaml/);
  await assert.rejects(load(folder, null, { file: "." }), (error: unknown) => isSluiceError(error, "E_CONFIG"));
});

test("aliases share values without being written to, and cannot be multiplied without end", async (t) => {
  const folder = await temporaryFolder(t);
  const yaml = "datasets:\n  - name: a\n    select: &s { k: 5 }\n  - name: b\n    select: *s\n";
  const { config } = await load(folder, yaml, { flags: [assignmentOverride("datasets[0].select.k=9")] });
  assert.deepEqual(
    config.datasets.map(({ select }) => select.k),
    [9, 5],
  );
  const names = "a b c d e f g h i j".split(" ");
  const bomb = names.map(
    (name, at) =>
      `${name}: &${name} [${
        at === 0
          ? "x"
          : Array(10)
              .fill(`*${names[at - 1]!}`)
              .join(", ")
      }]`,
  );
  await assert.rejects(load(folder, bomb.join("\n")), (error: unknown) => isSluiceError(error, "E_CONFIG"));
});

test("a wrong value anywhere in a file is reported on the line that holds it", async (t) => {
  const folder = await temporaryFolder(t);
  const setting = fc.constantFrom(
    "engine.batch",
    "engine.threads",
    "decode.minSide",
    "archive.topM",
    "checkpoint.keep",
    "partitions",
  );
  const noise = fc.array(fc.constantFrom("", "# x: y", "  # indented", "#"), { maxLength: 3 });
  await fc.assert(
    fc.asyncProperty(setting, noise, noise, fc.boolean(), async (path, before, between, windows) => {
      const [section, name] = path.split(".") as [string, string?];
      const lines = [...before, ...(name === undefined ? [] : [`${section}:`]), ...between];
      const wrong = name === undefined ? `${section}: -7` : `   ${name}:   -7 # why`;
      const text = [...lines, wrong, "data: d"].join(windows ? "\r\n" : "\n");
      const found = await problems(folder, text);
      const place = `sluice.yaml:${lines.length + 1}:${wrong.indexOf("-7") + 1} ${path}: `;
      assert.ok(
        found.some((problem) => problem.startsWith(place)),
        `one of ${found.join("; ")} should begin with ${place}`,
      );
    }),
    { numRuns: 60 },
  );
});

test("the refusal carries its problems for programs", async (t) => {
  const folder = await temporaryFolder(t);
  const error = await load(folder, "engine: { batch: 0 }\n").catch((thrown: unknown) => thrown);
  assert.ok(error instanceof SluiceError);
  assert.equal(error.exitCode, 2);
  assert.deepEqual(error.context["problems"], [
    {
      where: "sluice.yaml:1:18",
      setting: "engine.batch",
      message: "expected a whole number above 0, found 0",
      line: 1,
      column: 18,
    },
  ]);
});
