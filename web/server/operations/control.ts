import { z } from "zod";
import { askControl } from "../../../pipelines/flow/flow-control.js";
import { authorText, lineText } from "../../../schemas/api/shared.js";
import { CONTROLS, standingControlSchema } from "../../../schemas/flow-control.js";
import { assertMayWrite } from "../console.js";
import { answering } from "../operation.js";

export const control = answering(
  {
    route: "/api/control",
    summary:
      "asks those who take and score images to pause, to go on, or to drain, as `sluice pause`, `resume` and `drain`; they notice within seconds",
    body: z.strictObject({
      want: z.enum(CONTROLS),
      reason: lineText.min(1).max(1000).optional(),
      by: authorText.optional().describe("who asks; by default the server's author"),
      seen: z
        .int()
        .nonnegative()
        .nullable()
        .optional()
        .describe(
          "`number` of what stood when it was shown: where something else was asked meanwhile, the answer is 409",
        ),
    }),
    answer: z.strictObject({ stream: z.string(), control: standingControlSchema }),
  },
  async ({ console, body }) => {
    assertMayWrite(console);
    const { config } = await console.settings();
    const { want, reason = null, by = console.author, seen } = body;
    const standing = await askControl(console.store, config.stream, { want, by, reason, nowMs: console.nowMs(), seen });
    console.status.forget();
    console.logAction(`${by}: ${want} ${config.stream}${reason === null ? "" : `: ${reason}`}`);
    return { stream: config.stream, control: standing };
  },
);
