import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { judge, neverFires, type TriggerFacts } from "../../../operators/select/triggers.js";
import { cronAfter, triggerSchema, type Trigger } from "../../../schemas/trigger.js";

const HOUR_MS = 3_600_000;
const facts: TriggerFacts = {
  nowMs: Date.UTC(2026, 10, 1, 2, 59),
  sinceMs: Date.UTC(2026, 10, 1, 0, 0),
  imagesSince: 900,
  images: 5000,
  imagesThen: 4100,
  fullThen: -1,
  full: 8,
  starving: ["owl", "newt"],
  classes: 10,
  endedWindows: 0,
  watermarkMs: Date.UTC(2026, 9, 31, 23, 0),
  nextEndMs: Date.UTC(2026, 10, 1),
};

function fired(trigger: Trigger, change: Partial<TriggerFacts> = {}): boolean {
  return judge(triggerSchema.parse(trigger), { ...facts, ...change }).fired;
}

test("each condition fires exactly when it is reached", () => {
  assert.equal(fired({ everyImages: 901 }), false);
  assert.equal(fired({ everyImages: 900 }), true);
  assert.equal(fired({ filled: 0.9 }), false);
  assert.equal(fired({ filled: 0.8 }), true);
  assert.equal(fired({ perLabelled: { labelled: 500, ratio: 10 } }), true);
  assert.equal(fired({ perLabelled: { labelled: 501, ratio: 10 } }), false);
  assert.equal(fired({ elapsedMs: 3 * HOUR_MS }), false);
  assert.equal(fired({ elapsedMs: 2 * HOUR_MS }), true);
  assert.equal(fired({ windowEnd: true }), false);
  assert.equal(fired({ windowEnd: true }, { endedWindows: 2 }), true);
});

test("filled fires when it is reached, and not again before a tenth more images have come", () => {
  const filled = { filled: 0.8 };
  assert.equal(fired(filled, { fullThen: 7, imagesSince: 1 }), true, "the last version was not filled");
  assert.equal(fired(filled, { fullThen: 8, imagesSince: 0 }), false);
  assert.equal(fired(filled, { fullThen: 8, imagesSince: 409 }), false);
  assert.equal(fired(filled, { fullThen: 8, imagesSince: 410 }), true);
  assert.equal(fired(filled, { fullThen: 8, imagesThen: 0, imagesSince: 0 }), false);
  const { why } = judge(filled, { ...facts, fullThen: 8, imagesSince: 9 });
  assert.equal(why, "8 of 10 classes full, as in the last version; 9 of 410 images since then");
});

test("a cron line fires once after the last version, in UTC", () => {
  assert.equal(fired({ cron: "0 3 * * *" }), false);
  const atThree = Date.UTC(2026, 10, 1, 3, 0);
  assert.equal(fired({ cron: "0 3 * * *" }, { nowMs: atThree }), true);
  assert.equal(fired({ cron: "0 3 * * *" }, { nowMs: atThree + HOUR_MS, sinceMs: atThree }), false);
  assert.equal(cronAfter("0 3 * * *", atThree), atThree + 24 * HOUR_MS);
});

test("any and all combine like or and and, however deep", () => {
  const leaf: fc.Arbitrary<Trigger> = fc.constantFrom({ everyImages: 1 } as const, { everyImages: 10_000 } as const);
  const { tree } = fc.letrec<{ tree: Trigger }>((tie) => ({
    tree: fc.oneof(
      { maxDepth: 3 },
      leaf,
      fc.array(tie("tree"), { minLength: 1, maxLength: 3 }).map((any): Trigger => ({ any })),
      fc.array(tie("tree"), { minLength: 1, maxLength: 3 }).map((all): Trigger => ({ all })),
    ),
  }));
  const model = (trigger: Trigger): boolean => {
    if ("any" in trigger) return trigger.any.some(model);
    if ("all" in trigger) return trigger.all.every(model);
    return "everyImages" in trigger && trigger.everyImages === 1;
  };
  fc.assert(
    fc.property(tree, (trigger) => {
      assert.equal(fired(trigger), model(trigger));
    }),
  );
});

test("a trigger that has not fired says what is missing", () => {
  assert.equal(
    judge({ any: [{ filled: 0.95 }, { elapsedMs: 24 * HOUR_MS }] }, facts).why,
    "8 of 10 classes full; starving: owl, newt; nor: 10740000 of 86400000 ms since the last version",
  );
  assert.match(
    judge({ windowEnd: true }, facts).why,
    /ends at 2026-11-01T00:00:00.000Z, the watermark is at 2026-10-31T23/,
  );
});

test("triggers that cannot work are refused", () => {
  for (const [trigger, reason] of [
    [{ cron: "0 0 31 2 *" }, /never/],
    [{ cron: "nonsense" }, /expected a cron line/],
    [{ everyImages: 0 }, /./],
    [{ filled: 1.5 }, /./],
    [{ any: [] }, /./],
    [{ hourly: true }, /./],
  ] as const) {
    const result = triggerSchema.safeParse(trigger);
    assert.equal(result.success, false);
    assert.match(JSON.stringify(result.error.issues), reason);
  }
});

test("a trigger that needs the end of a window never fires over a global one", () => {
  const never = (trigger: Trigger | undefined, kind: "global" | "tumbling"): boolean =>
    neverFires({
      ...(trigger === undefined ? {} : { trigger: triggerSchema.parse(trigger) }),
      window: kind === "global" ? { kind } : { kind, sizeMs: HOUR_MS, offsetMs: 0 },
    });
  const windowEnd = { windowEnd: true } as const;
  const deadline = { elapsedMs: HOUR_MS };
  for (const trigger of [undefined, windowEnd, { any: [windowEnd] }, { all: [windowEnd, deadline] }]) {
    assert.equal(never(trigger, "global"), true, JSON.stringify(trigger));
    assert.equal(never(trigger, "tumbling"), false, JSON.stringify(trigger));
  }
  for (const trigger of [deadline, { any: [windowEnd, deadline] }, { all: [deadline] }])
    assert.equal(never(trigger, "global"), false, JSON.stringify(trigger));
});
