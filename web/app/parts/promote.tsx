import { useState } from "preact/hooks";
import type { ListedTeacher, TeacherChange } from "../../../schemas/api/teachers.ts";
import { CallError, post } from "../calls.ts";
import { noteChange } from "../live.ts";
import { countText } from "../wording.ts";
import { Confirm } from "./confirm.tsx";
import { toast } from "./toast.ts";
import { author } from "./verdicts.ts";

interface PromoteProps {
  readonly one: ListedTeacher;
  readonly stands: ListedTeacher | undefined;
  /** Another one is to stand already */
  readonly isUnderWay: boolean;
  readonly onDone: () => void;
}

/** Puts a better model in the place of the teacher that stands, or takes that back; says first what it comes to. */
export function Promote({ one, stands, isUnderWay, onDone }: PromoteProps) {
  const [isAsking, setAsking] = useState(false);
  const [isBusy, setBusy] = useState(false);
  if (stands === undefined) return null;
  const isNext = one.state === "next";
  const { evaluation } = one;
  const mayStand =
    one.isStored &&
    one.state !== "stands" &&
    evaluation?.verdict?.passes === true &&
    evaluation.teacher?.digest === stands.digest;
  if (!isNext && (!mayStand || isUnderWay)) return null;
  const run = async (): Promise<void> => {
    setBusy(true);
    const by = author();
    const body = { seen: stands.digest, ...(by === null ? {} : { by }) };
    try {
      const path = isNext ? "/api/teachers/withdraw" : `/api/teachers/${one.digest}/promote`;
      await post<TeacherChange>(path, body);
      toast({
        kind: "done",
        text: isNext
          ? `Taken back: ${stands.name} goes on alone.`
          : `${one.name} is to stand, once those who score have scored the log with it.`,
      });
    } catch (error) {
      if (!(error instanceof CallError)) throw error;
      toast({ kind: "failed", text: error.message });
    }
    setBusy(false);
    setAsking(false);
    noteChange();
    onDone();
  };
  const archived = stands.streams.reduce((sum, stream) => sum + stream.archived, 0);
  return (
    <>
      <button
        type="button"
        onClick={() => {
          setAsking(true);
        }}
      >
        {isNext ? "Take back …" : "Promote …"}
      </button>
      {isAsking ? (
        <Confirm
          title={isNext ? `Leave ${stands.name} alone?` : `Promote ${one.name}?`}
          action={isNext ? "Take back" : "Promote"}
          isBusy={isBusy}
          run={() => void run()}
          close={() => {
            setAsking(false);
          }}
        >
          {isNext ? (
            <p>{one.name} will not stand. What it has scored stays archived; a later promotion goes on from there.</p>
          ) : (
            <>
              <p>
                It takes the place of <strong>{stands.name}</strong>. Those who score go on with both until {one.name}{" "}
                has scored what the log has ({countText(archived)} records were archived by {stands.name}); then
                versions are made by it.
              </p>
              <p class="fine">Versions that are there stay as they are. It can be taken back until it stands.</p>
            </>
          )}
        </Confirm>
      ) : null}
    </>
  );
}
