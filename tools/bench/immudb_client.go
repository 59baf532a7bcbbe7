// Writes batches of 1000 key-value pairs to immudb, over loopback or embedded, and times them.
//
//	immudb_client server HOST PORT VALUE_BYTES    (user and password: immudb)
//	immudb_client embedded FOLDER VALUE_BYTES
//
// It reads a number of batches from each line of its input, and answers with the seconds they took.
package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand"
	"os"
	"strconv"
	"time"

	"github.com/codenotary/immudb/embedded/store"
	"github.com/codenotary/immudb/pkg/api/schema"
	"github.com/codenotary/immudb/pkg/client"
)

const batchCount = 1000

type writer func(keys, values [][]byte) error

func main() {
	write, valueBytes, err := open(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("ready")
	next := uint64(0)
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		batches, _ := strconv.Atoi(lines.Text())
		var spent time.Duration
		for done := 0; done < batches; done++ {
			keys, values := batch(&next, valueBytes)
			begun := time.Now()
			if err := write(keys, values); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			spent += time.Since(begun)
		}
		fmt.Println(spent.Seconds())
	}
}

func open(arguments []string) (writer, int, error) {
	if len(arguments) == 4 && arguments[0] == "server" {
		return openServer(arguments[1], arguments[2], arguments[3])
	}
	if len(arguments) == 3 && arguments[0] == "embedded" {
		return openEmbedded(arguments[1], arguments[2])
	}
	return nil, 0, fmt.Errorf("arguments: server HOST PORT VALUE_BYTES | embedded FOLDER VALUE_BYTES")
}

func openServer(host, port, size string) (writer, int, error) {
	portNumber, _ := strconv.Atoi(port)
	valueBytes, err := strconv.Atoi(size)
	if err != nil {
		return nil, 0, err
	}
	folder, err := os.MkdirTemp("", "immudb-client")
	if err != nil {
		return nil, 0, err
	}
	options := client.DefaultOptions().WithAddress(host).WithPort(portNumber).WithDir(folder)
	door := client.NewClient().WithOptions(options)
	ctx := context.Background()
	if err := door.OpenSession(ctx, []byte("immudb"), []byte("immudb"), "defaultdb"); err != nil {
		return nil, 0, err
	}
	return func(keys, values [][]byte) error {
		request := &schema.SetRequest{}
		for i := range keys {
			request.KVs = append(request.KVs, &schema.KeyValue{Key: keys[i], Value: values[i]})
		}
		_, err := door.SetAll(ctx, request)
		return err
	}, valueBytes, nil
}

func openEmbedded(folder, size string) (writer, int, error) {
	valueBytes, err := strconv.Atoi(size)
	if err != nil {
		return nil, 0, err
	}
	held, err := store.Open(folder, store.DefaultOptions().WithSynced(true))
	if err != nil {
		return nil, 0, err
	}
	ctx := context.Background()
	return func(keys, values [][]byte) error {
		tx, err := held.NewWriteOnlyTx(ctx)
		if err != nil {
			return err
		}
		for i := range keys {
			if err := tx.Set(keys[i], nil, values[i]); err != nil {
				return err
			}
		}
		_, err = tx.Commit(ctx)
		return err
	}, valueBytes, nil
}

func batch(next *uint64, valueBytes int) (keys, values [][]byte) {
	for count := 0; count < batchCount; count++ {
		key, value := make([]byte, 8), make([]byte, valueBytes)
		binary.BigEndian.PutUint64(key, *next)
		rand.Read(value)
		*next++
		keys, values = append(keys, key), append(values, value)
	}
	return keys, values
}
