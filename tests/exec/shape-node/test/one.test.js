import assert from "node:assert";
import { test } from "node:test";
import { words } from "../src/words.js";

test("one", () => assert.strictEqual(words(" one  and more\n"), 3));
