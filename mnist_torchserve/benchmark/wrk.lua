-- The load of a benchmark: sends the payloads of a file in turn, and prints the result as one line of JSON.
-- wrk ... -s wrk.lua URL -- FILE MEDIA_TYPE [PAUSE ADDRESSES]; FILE holds bodies, each after its length in four bytes,
-- big-endian. Each connection pauses before a request, for a random time from 0 to 2 × PAUSE ms. X-Forwarded-For names
-- ADDRESSES different addresses, as a load balancer would.

local requests, turn = {}, 0

function init(args)
  local file = assert(io.open(args[1], "rb"))
  local content = file:read("*a")
  file:close()
  local pause, addresses = tonumber(args[3] or 0), tonumber(args[4] or 0)
  if pause > 0 then
    delay = function() return math.random(0, 2 * pause) end
  end
  local headers = { ["Content-Type"] = args[2] }
  local position = 1
  while position <= #content do
    local a, b, c, d = content:byte(position, position + 3)
    local length = ((a * 256 + b) * 256 + c) * 256 + d
    local body = content:sub(position + 4, position + 3 + length)
    if addresses > 0 then
      local number = #requests % addresses
      headers["X-Forwarded-For"] = string.format("10.0.%d.%d", number / 256, number % 256)
    end
    requests[#requests + 1] = wrk.format("POST", nil, headers, body)
    position = position + 4 + length
  end
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests": %d, "seconds": %f, "p50": %f, "p99": %f, "refused": %d, "failed": %d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
