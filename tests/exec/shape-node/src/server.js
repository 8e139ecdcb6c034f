import { createServer } from "node:http";
import { words } from "./words.js";

createServer((request, response) => {
  response.end(String(words(decodeURIComponent(request.url.slice(1)))));
}).listen(Number(process.env.PORT));
