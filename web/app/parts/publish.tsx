import { useState } from "preact/hooks";
import type { Overview } from "../../../schemas/api/versions.ts";
import type { WhatifAnswered } from "../../../schemas/api/whatif.ts";
import { go } from "../address.ts";
import { useAnswer } from "../answer.ts";
import { CallError, post } from "../calls.ts";
import { noteChange } from "../live.ts";
import { countText, plural, shareText } from "../wording.ts";
import { Confirm } from "./confirm.tsx";
import { toast } from "./toast.ts";
import { author } from "./verdicts.ts";

interface Published {
  readonly dataset: string;
  readonly number: number;
  readonly rows: number;
  readonly outcome: string;
}

interface PublishProps {
  readonly dataset: Overview["datasets"][number];
  readonly isReadOnly: boolean;
}

/** Makes a version now, of all that is archived; says first what it would be. Only where the dataset is declared. */
export function Publish({ dataset, isReadOnly }: PublishProps) {
  const [isAsking, setAsking] = useState(false);
  if (isReadOnly || dataset.select === null) return null;
  return (
    <>
      <button
        type="button"
        onClick={() => {
          setAsking(true);
        }}
      >
        Publish now
      </button>
      {isAsking ? (
        <PublishBox
          dataset={dataset}
          close={() => {
            setAsking(false);
          }}
        />
      ) : null}
    </>
  );
}

/** What the next version would be, before it is made. */
export function PublishBox({
  dataset,
  close,
}: {
  readonly dataset: Overview["datasets"][number];
  readonly close: () => void;
}) {
  const [isBusy, setBusy] = useState(false);
  const path = `/api/datasets/${encodeURIComponent(dataset.name)}`;
  const found = useAnswer<WhatifAnswered>(`${path}/whatif`);
  const answer = found.value?.answer ?? null;
  const newest = dataset.newest?.number ?? 0;
  const run = async (): Promise<void> => {
    setBusy(true);
    const by = author();
    try {
      const made = await post<Published>(`${path}/publish`, {
        seen: dataset.versions.at(-1) ?? 0,
        ...(by === null ? {} : { by }),
      });
      noteChange();
      close();
      toast({
        kind: "done",
        text:
          made.outcome === "unchanged"
            ? `Nothing differs: version ${made.number} stands.`
            : `Version ${made.number} of ${made.dataset} is published: ${plural(made.rows, "row")}.`,
      });
      go(`/version/${encodeURIComponent(made.dataset)}/${made.number}`);
    } catch (error) {
      if (!(error instanceof CallError)) throw error;
      setBusy(false);
      toast({ kind: "failed", text: error.message });
    }
  };
  return (
    <Confirm
      title={`Publish a version of ${dataset.name}?`}
      action="Publish"
      isBusy={isBusy}
      run={() => void run()}
      close={close}
    >
      {answer === null ? (
        <p class="fine">{found.value?.refused ?? "Ranking what is archived …"}</p>
      ) : (
        <p>
          About <strong>{plural(answer.rows, "row")}</strong>, <strong>{countText(answer.full)}</strong> of{" "}
          {plural(answer.classes, "class", "classes")} full
          {answer.overlap === null || newest === 0 ? "" : `; ${shareText(answer.overlap)} of version ${newest} stays`}.
        </p>
      )}
      <p class="fine">
        It is made of all that is archived by now, by the declared parameters.{" "}
        {newest === 0 ? "No" : `Version ${newest}, as every`} version before it{" "}
        {newest === 0 ? "is there" : "stays as it is"}.
      </p>
    </Confirm>
  );
}
