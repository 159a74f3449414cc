import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { packageFile } from "../../../cli/package-root.js";
import { chartCalls, renderedObjects } from "../../../deploy/check/chart-calls.js";
import { composeCalls } from "../../../deploy/check/compose-calls.js";
import { callFaults, configurationFaults, type DeployedCall } from "../../../deploy/check/deployed-call.js";
import { copyParts, dockerfileInstructions, ignoredBy } from "../../../deploy/check/image-steps.js";
import { SERVED, sluiceHelp } from "../../../deploy/check/served.js";
import { unitCall } from "../../../deploy/check/unit-calls.js";

const textOf = (path: string): Promise<string> => readFile(packageFile(path), "utf8");
const faultsOf = (call: DeployedCall): Promise<string[]> => callFaults(call, sluiceHelp, SERVED);

test("what the compose file and the units call is in the code", async () => {
  const compose = composeCalls(await textOf("deploy/compose/compose.yaml"), "compose.yaml");
  assert.deepEqual(
    compose.map(({ place }) => place.split(" ")[1]),
    ["topics", "scorer", "topk", "publisher", "compactor", "schedules", "console", "produce"],
  );
  const units = ["sluice.service", "console.service", "schedules.service"];
  const calls = [
    ...compose,
    ...(await Promise.all(units.map(async (unit) => unitCall(await textOf(`deploy/systemd/${unit}`), unit)))),
  ];
  assert.deepEqual((await Promise.all(calls.map(faultsOf))).flat(), []);
  assert.deepEqual(configurationFaults("sluice.yaml", await textOf("deploy/compose/sluice.yaml")).faults, []);
});

test("a flag, a setting, a port and a path that are nowhere in the code are named", async () => {
  const call: DeployedCall = {
    place: "stack scorer",
    args: ["run", "score", "--teecher", "/teacher"],
    environment: { SLUICE_METRICS__PORT: "9464", SLUICE_S3__ACCES_KEY: "a", SLUICE_NOTHING: "b", KAFKA_NODE_ID: "1" },
    ports: { metrics: [9000] },
    paths: ["/health"],
  };
  assert.deepEqual(await faultsOf(call), [
    "stack scorer: run score has no flag --teecher",
    "stack scorer: SLUICE_S3__ACCES_KEY is no setting",
    "stack scorer: SLUICE_NOTHING is no setting",
    "stack scorer: metrics are expected on port 9000, and SLUICE_METRICS__PORT is 9464",
    "stack scorer: nothing answers at /health",
  ]);
  const other = { ...call, args: ["run", "scores"], environment: {}, ports: { console: [80] }, paths: [] };
  assert.deepEqual(await faultsOf(other), ["stack scorer: the console is expected on port 80, and listens on 4747"]);
  assert.deepEqual(await faultsOf({ ...other, args: ["scores"], ports: {} }), [
    "stack scorer: expected a command of sluice, found scores",
  ]);
  assert.deepEqual(configurationFaults("x", "partitions: many\ns3: {bucket: b, endpoint: 'http://s:9000'}").faults, [
    "x: partitions: Invalid input: expected number, received string",
  ]);
});

test("calls of rendered manifests: arguments, variables, and the ports that probes name", () => {
  const container = {
    name: "scorer",
    args: ["run", "score"],
    env: [
      { name: "SLUICE_DATA", value: "/data" },
      { name: "KEY", valueFrom: {} },
    ],
    ports: [{ name: "metrics", containerPort: 9464 }],
    livenessProbe: { httpGet: { path: "/healthz", port: "metrics" } },
  };
  const template = { spec: { containers: [container] } };
  const manifests = [
    { kind: "Deployment", metadata: { name: "a" }, spec: { template } },
    { kind: "CronJob", metadata: { name: "b" }, spec: { jobTemplate: { spec: { template } } } },
    { kind: "Service", metadata: { name: "c" }, spec: {} },
  ];
  const calls = chartCalls(renderedObjects(manifests.map((each) => JSON.stringify(each)).join("\n---\n")), "v");
  assert.deepEqual(calls[0], {
    place: "v Deployment a",
    args: ["run", "score"],
    environment: { SLUICE_DATA: "/data", KEY: "of a secret" },
    ports: { metrics: [9464, 9464], console: [] },
    paths: ["/healthz"],
  });
  assert.deepEqual(
    calls.map(({ place }) => place),
    ["v Deployment a", "v CronJob b"],
  );
});

test("what the images copy from the checkout is there, and is not left out of the context", async () => {
  for (const file of ["Dockerfile", "Dockerfile.gpu"]) {
    const ignores = ignoredBy(await textOf(`deploy/image/${file}.dockerignore`));
    const copied = dockerfileInstructions(await textOf(`deploy/image/${file}`))
      .filter(({ name }) => name === "COPY")
      .map(({ text }) => copyParts(text))
      .filter(({ from }) => from === null)
      .flatMap(({ sources }) => sources);
    assert.ok(copied.length >= 2, file);
    for (const source of copied) assert.ok(existsSync(packageFile(source)) && !ignores(source), `${file}: ${source}`);
    assert.ok(ignores("node_modules/x") && ignores("web/node_modules") && ignores("dist/a") && !ignores("distance"));
  }
  assert.deepEqual(copyParts("--from=a --chmod=755 b c /d/"), {
    from: "a",
    mode: 0o755,
    sources: ["b", "c"],
    target: "/d/",
  });
});
