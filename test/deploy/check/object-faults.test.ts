import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { parse } from "yaml";
import { packageFile } from "../../../cli/package-root.js";
import { composeCalls } from "../../../deploy/check/compose-calls.js";
import { objectFaults } from "../../../deploy/check/object-faults.js";

const POD = {
  enableServiceLinks: false,
  automountServiceAccountToken: false,
  securityContext: { runAsNonRoot: true },
  volumes: [{ name: "data" }, { name: "more" }],
  containers: [
    { securityContext: { readOnlyRootFilesystem: true }, volumeMounts: [{ name: "data", mountPath: "/data" }] },
  ],
};
const deployment = (pod: object, name = "a"): { kind: string; metadata: { name: string }; spec: object } => ({
  kind: "Deployment",
  metadata: { name },
  spec: { template: { spec: pod } },
});

test("objects of a release: names that fit and differ, labels that are texts", () => {
  const cron = {
    kind: "CronJob",
    metadata: { name: "n".repeat(53) },
    spec: { jobTemplate: { spec: { template: { spec: POD } } } },
  };
  const objects = [deployment(POD), deployment(POD), cron, { ...cron, kind: "Job", spec: { template: { spec: POD } } }];
  assert.deepEqual(objectFaults(objects, "v", null), [
    "v Deployment a: another object has its name",
    `v CronJob ${cron.metadata.name}: its name has 53 letters, and may have 52`,
  ]);
  const service = { kind: "Service", metadata: { name: "s", labels: { instance: 12 } }, spec: {} };
  assert.deepEqual(objectFaults([service], "v", null), ["v Service s: labels instance is no text: 12"]);
});

test("objects of a release: what a pod may, mounts and is told", () => {
  const pod = {
    volumes: [{ name: "data" }],
    containers: [
      {
        volumeMounts: [
          { name: "data", mountPath: "/data" },
          { name: "other", mountPath: "/data" },
        ],
      },
    ],
  };
  assert.deepEqual(objectFaults([deployment(pod)], "v", null), [
    "v Deployment a: its pods are told of services by variables",
    "v Deployment a: its pods have a token of the API",
    "v Deployment a: its pods may be root",
    "v Deployment a: its root file system can be written to",
    "v Deployment a: it mounts other, which is no volume",
    "v Deployment a: two volumes are mounted at /data",
  ]);
});

test("objects of a release: a network policy's empty lists let everybody in, rules are those of the file", () => {
  const spec = { ingress: [{ from: null, ports: [{ port: 1 }] }, { from: [{}] }], egress: [{ ports: null }] };
  const objects = [
    { kind: "NetworkPolicy", metadata: { name: "p" }, spec },
    { kind: "PrometheusRule", metadata: { name: "r" }, spec: { groups: [] } },
  ];
  assert.deepEqual(objectFaults(objects, "v", { groups: [{ name: "sluice" }] }), [
    "v NetworkPolicy p: an ingress rule lets in everybody",
    "v NetworkPolicy p: an ingress rule is of every port",
    "v NetworkPolicy p: an egress rule is of every port",
    "v PrometheusRule r: its rules are not those of deploy/prometheus/alerts.yaml",
  ]);
  assert.deepEqual(objectFaults(objects.slice(1), "v", { groups: [] }), []);
});

test("Prometheus reads every service of the compose file that has figures", async () => {
  const compose = await readFile(packageFile("deploy/compose/compose.yaml"), "utf8");
  const probed = composeCalls(compose, "compose.yaml").filter(({ paths }) => paths.length > 0);
  const { scrape_configs: scraped } = parse(await readFile(packageFile("deploy/compose/prometheus.yaml"), "utf8")) as {
    scrape_configs: { dns_sd_configs: { names: string[] }[] }[];
  };
  assert.deepEqual(
    scraped.flatMap(({ dns_sd_configs: found }) => found.flatMap(({ names }) => names)).sort(),
    probed.map(({ place }) => place.split(" ")[1]!).sort(),
  );
});
