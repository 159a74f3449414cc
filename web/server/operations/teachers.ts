import { listTeachers } from "../../../pipelines/console/listed-teachers.js";
import { teacherListSchema } from "../../../schemas/api/teachers.js";
import { answering } from "../operation.js";

export const teachers = answering(
  {
    route: "/api/teachers",
    summary:
      "the teachers that have scored here: cards, what they scored, versions made by them, and how right people found those",
    answer: teacherListSchema,
  },
  async ({ console }) => {
    const { config, declared } = await console.settings();
    const { store, groups } = console;
    const place = { store, groups, stream: config.stream, declared: declared.settings?.teacher?.digest ?? null };
    return { teachers: await listTeachers(place, await console.said.all()) };
  },
);
