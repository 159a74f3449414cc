import { useState } from "preact/hooks";
import type { Live } from "../../../schemas/api/flow.ts";
import type { Review } from "../../../schemas/api/images.ts";
import type { Overview } from "../../../schemas/api/versions.ts";
import { useAnswer } from "../answer.ts";
import { withQuery } from "../calls.ts";
import { countText, plural } from "../wording.ts";
import { ask, DrainBox } from "./asked.tsx";
import { Confirm } from "./confirm.tsx";
import { PublishBox } from "./publish.tsx";
import { retryRecords } from "./retry-records.ts";

export type Command = "pause" | "resume" | "drain" | "publish" | "retry";

/** Records that one call takes up again */
const MOST_RECORDS = 500;

interface CommandsProps {
  readonly overview: Overview;
  readonly dataset: Overview["datasets"][number];
  readonly live: Live | null;
}

/** What can be done now, in words; what the state of things or the server does not allow is left out. */
export function commandsOf({ overview, dataset, live }: CommandsProps): readonly {
  readonly command: Command;
  readonly text: string;
}[] {
  if (overview.readOnly) return [];
  const isPaused = live?.control?.want === "pause";
  return [
    isPaused ? ({ command: "resume", text: "Resume" } as const) : ({ command: "pause", text: "Pause" } as const),
    ...(isPaused ? [] : [{ command: "drain", text: "Drain" } as const]),
    ...(dataset.select === null ? [] : [{ command: "publish", text: `Publish a version of ${dataset.name}` } as const]),
    { command: "retry", text: "Retry what is in quarantine" },
  ];
}

/** Asks for a confirmation of a command, and does it. */
export function Commanded({
  command,
  close,
  ...props
}: CommandsProps & { readonly command: Command; readonly close: () => void }) {
  const seen = props.live?.control?.number ?? null;
  switch (command) {
    case "pause":
    case "resume":
      return (
        <Confirm
          title={command === "pause" ? "Pause those who run?" : "Let them go on?"}
          action={command === "pause" ? "Pause" : "Resume"}
          isBusy={false}
          run={() => {
            close();
            void ask(command === "pause" ? "pause" : "run", seen);
          }}
          close={close}
        >
          <p>
            {command === "pause"
              ? "Every process that scores this stream scores what it has read, and then waits until somebody lets it go on."
              : "Every process that waits takes and scores images again."}
          </p>
        </Confirm>
      );
    case "drain":
      return <DrainBox seen={seen} close={close} />;
    case "publish":
      return <PublishBox dataset={props.dataset} close={close} />;
    case "retry":
      return <RetryBox dataset={props.dataset.name} close={close} />;
  }
}

function RetryBox({ dataset, close }: { readonly dataset: string; readonly close: () => void }) {
  const [isBusy, setBusy] = useState(false);
  const found = useAnswer<Review>(withQuery("/api/review/quarantine", { dataset, limit: MOST_RECORDS }));
  const items = found.value?.items ?? [];
  const total = found.value?.total ?? 0;
  const run = async (): Promise<void> => {
    if (items.length === 0) {
      close();
      return;
    }
    setBusy(true);
    await retryRecords(items);
    close();
  };
  return (
    <Confirm
      title="Retry what is in quarantine?"
      action={items.length === 0 ? "Done" : "Retry"}
      isBusy={isBusy}
      run={() => void run()}
      close={close}
    >
      <p>
        {found.error !== null
          ? found.error.message
          : found.value === null
            ? "Reading the quarantine …"
            : total === 0
              ? "Nothing is in quarantine: every image that came could be used."
              : `${plural(items.length, "record")}${items.length < total ? ` of ${countText(total)}` : ""} will be taken up again, and scored by the next run.`}
      </p>
    </Confirm>
  );
}
