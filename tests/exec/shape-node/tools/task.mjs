// The tasks of package.json, without npm: this image has none.
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { spawnSync } from "node:child_process";

const node = (...args) => spawnSync(process.execPath, args, { stdio: "inherit" }).status;
const tasks = {
  ci() {
    const lock = JSON.parse(readFileSync("package-lock.json"));
    rmSync("node_modules", { recursive: true, force: true });
    for (const [path, { resolved }] of Object.entries(lock.packages)) {
      cpSync(resolved, path, { recursive: true });
      console.log(`added ${path}`);
    }
    mkdirSync(".npm", { recursive: true });
    writeFileSync(".npm/index", JSON.stringify(lock.packages));
  },
  lint: () => readdirSync("src").map((name) => node("--check", `src/${name}`)).find((status) => status) ?? 0,
  typecheck: () => (existsSync("node_modules/count/package.json") ? 0 : 1),
  build() {
    mkdirSync("dist", { recursive: true });
    writeFileSync("dist/words.js", `// ${process.env.CI_COMMIT_REF_NAME}\n${readFileSync("src/words.js")}`);
  },
  unit: () => node("--test", `--test-shard=${process.env.CI_NODE_INDEX}/${process.env.CI_NODE_TOTAL}`,
    "--test-reporter=./tools/junit.mjs", "--test-reporter-destination=junit.xml", "test/"),
};
process.exit(tasks[process.argv[2]]() ?? 0);
